import { type RawFields, someValue } from "./fields.ts";

/** Whether a request's Accept asks for an event stream. */
export function acceptsEventStream(raw: RawFields): boolean {
  return someValue(raw, "accept", namesEventStream);
}

const namesEventStream = (value: string): boolean => /text\/event-stream/i.test(value);

/** Whether a request's Accept names a media type, in lower case, without refusing it by `q=0`. */
export function acceptsType(raw: RawFields, type: string): boolean {
  return someValue(raw, "accept", (value) =>
    value.split(",").some((item) => mediaType(item) === type && !/;\s*q=0(?:\.0*)?\s*(?:;|$)/i.test(item)),
  );
}

const tests = new WeakMap<readonly string[], (type: string) => boolean>();

/**
 * Returns a test for the media types in a list, in lower case, with a final `*` for any ending. It is compiled once per
 * list object, so pass a list that is kept.
 */
export function mediaTypes(list: readonly string[]): (type: string) => boolean {
  const known = tests.get(list);
  if (known !== undefined) return known;
  const names = new Set(list.filter((wanted) => !wanted.endsWith("*")));
  const beginnings = list.filter((wanted) => wanted.endsWith("*")).map((wanted) => wanted.slice(0, -1));
  const test = (type: string): boolean =>
    names.has(type) || beginnings.some((beginning) => type.startsWith(beginning));
  tests.set(list, test);
  return test;
}

/** Returns the `type/subtype` of a Content-Type value, in lower case and without parameters; empty without a value. */
export function mediaType(value: string | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(";");
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
