import { fieldName } from "./field-name.ts";
import { ParseFault } from "./parse-fault.ts";

/** The most fields of a response head, or of the trailers of a body. */
export const MAX_FIELDS = 256;

/** Where readers disagree on whether a tab behind the value belongs to it, they disagree on where the body ends. */
const FRAMING = new Set(["content-length", "transfer-encoding"]);

const TAB = 0x09;
const SPACE = 0x20;

/**
 * The fields of lines that each end with CRLF, from `at` on: name, value, name, value…
 *
 * RFC 9112 section 5: nothing between name and colon, blanks around the value go, and no folded lines, whose
 * first character is none of a name.
 */
export function parseFieldLines(text: string, at: number): string[] {
  const fields: string[] = [];
  for (let start = at; start < text.length; ) {
    const colon = text.indexOf(":", start);
    const end = text.indexOf("\r\n", start);
    if (colon < 0 || colon > end) throw new ParseFault("a line that is no field");
    const { spelled: name, lower, isToken } = fieldName(text.slice(start, colon));
    if (!isToken) throw new ParseFault("a line that is no field");
    if (FRAMING.has(lower) && hasTabBehind(text, colon + 1, end))
      throw new ParseFault(`${name} with a tab behind it`);
    fields.push(name, trimmed(text, colon + 1, end));
    if (fields.length > 2 * MAX_FIELDS) throw new ParseFault(`more than ${MAX_FIELDS} fields`);
    start = end + 2;
  }
  return fields;
}

/** Trailer fields; one that frames a body comes too late for that (RFC 9110 section 6.5.1), and is no accident. */
export function parseTrailerLines(text: string): string[] {
  const fields = parseFieldLines(text, 0);
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? "";
    if (FRAMING.has(fieldName(name).lower)) throw new ParseFault(`${name} among the trailers`);
  }
  return fields;
}

/** Not a regular expression: 16,000 tabs in a Content-Length held every stream of the process for 0.6 s. */
function hasTabBehind(text: string, from: number, end: number): boolean {
  let at = end;
  while (at > from && text.charCodeAt(at - 1) === SPACE) at--;
  return at > from && text.charCodeAt(at - 1) === TAB;
}

function trimmed(text: string, from: number, end: number): string {
  let start = from;
  let stop = end;
  while (start < stop && isBlank(text.charCodeAt(start))) start++;
  while (stop > start && isBlank(text.charCodeAt(stop - 1))) stop--;
  return text.slice(start, stop);
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB;
