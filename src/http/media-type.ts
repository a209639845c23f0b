import { fieldValue, fieldValues, type RawFields } from "./fields.ts";

/** Whether a request says that it wants an event stream. */
export function acceptsEventStream(raw: RawFields): boolean {
  if (fieldValue(raw, "accept") === undefined) return false;
  return fieldValues(raw, "accept").some((value) => /text\/event-stream/i.test(value));
}

/** `type/subtype` of a Content-Type value, in lower case and without parameters; empty when there is none. */
export function mediaType(value: string | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(";");
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
