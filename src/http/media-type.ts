import { fieldValue, fieldValues, type RawFields } from "./fields.ts";

/** Whether a request's Accept asks for an event stream. */
export function acceptsEventStream(raw: RawFields): boolean {
  if (fieldValue(raw, "accept") === undefined) return false;
  return fieldValues(raw, "accept").some((value) => /text\/event-stream/i.test(value));
}

/** Whether a request's Accept names a media type, in lower case, without refusing it by `q=0`. */
export function acceptsType(raw: RawFields, type: string): boolean {
  if (fieldValue(raw, "accept") === undefined) return false;
  return fieldValues(raw, "accept").some((value) =>
    value.split(",").some((item) => mediaType(item) === type && !/;\s*q=0(?:\.0*)?\s*(?:;|$)/i.test(item)),
  );
}

/** Returns the `type/subtype` of a Content-Type value, in lower case and without parameters; empty without a value. */
export function mediaType(value: string | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(";");
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
