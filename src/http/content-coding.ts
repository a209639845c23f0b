import { fieldValue, fieldValues, listItems, type RawFields } from "./fields.ts";

/** A bound for the log, in characters. */
const MAX_TEXT = 100;

/**
 * Returns the content coding of a body in lower case, several joined by commas in the order in which they were applied,
 * at most 100 characters; undefined for none. `x-gzip` is gzip (RFC 9110 section 8.4.1.3), and `identity` is none.
 */
export function contentCoding(raw: RawFields): string | undefined {
  if (fieldValue(raw, "content-encoding") === undefined) return undefined;
  const codings = listItems(fieldValues(raw, "content-encoding"))
    .map(codingName)
    .filter((coding) => coding !== "identity");
  return codings.length === 0 ? undefined : codings.join(", ").slice(0, MAX_TEXT);
}

/**
 * Whether a request accepts a content coding (RFC 9110 section 12.5.3); `coding` as `contentCoding` returns it. A
 * request without Accept-Encoding accepts all of them.
 */
export function acceptsCoding(raw: RawFields, coding: string): boolean {
  if (fieldValue(raw, "accept-encoding") === undefined) return true;
  const accepted = new Map<string, boolean>();
  for (const item of listItems(fieldValues(raw, "accept-encoding"))) {
    const [name = "", ...parameters] = item.split(";");
    accepted.set(codingName(name), !parameters.some(isZeroWeight));
  }
  return accepted.get(coding) ?? accepted.get("*") ?? false;
}

const isZeroWeight = (parameter: string): boolean => /^\s*q\s*=\s*0(?:\.0*)?\s*$/i.test(parameter);

function codingName(text: string): string {
  const name = text.trim().toLowerCase();
  return name === "x-gzip" ? "gzip" : name;
}
