import { STATUS_CODES } from "node:http";
import { fieldName } from "./field-name.ts";
import type { RawFields } from "./fields.ts";

/**
 * The heads of HTTP/1.1 messages as text in latin1: every head and trailer that sluice sends is rendered or checked
 * here, or by node:http.
 *
 * Each part came through a parser or a schema. It is checked all the same: a line break here would be a second field,
 * or a second message, in the gateway's name (CWE-113).
 */

const UNSAFE_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const UNSAFE_IN_RESPONSE = /[\0\r\n\u0100-\uffff]/;
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;

/**
 * Whether a text can be a field's value (RFC 9110 section 5.5) or a reason phrase (RFC 9112 section 4), and each
 * character is one byte.
 */
export function isFieldValue(text: string): boolean {
  return !UNSAFE_IN_VALUE.test(text);
}

/** Whether a text can be a field's value in a response: nothing in it ends its line, and each character is one byte. */
export function isResponseValue(text: string): boolean {
  return !UNSAFE_IN_RESPONSE.test(text);
}

/** Renders field lines, each behind a CRLF. Throws a TypeError at a character that no field may have. */
export function renderFields(fields: RawFields): string {
  return render(fields, UNSAFE_IN_VALUE);
}

/**
 * Renders the field lines of a response, each behind a CRLF. Control characters that a backend has sent in values are
 * kept, as nginx keeps them: browsers read them. Throws a TypeError at a character that could end a line early.
 */
export function renderResponseFields(fields: RawFields): string {
  return render(fields, UNSAFE_IN_RESPONSE);
}

function render(fields: RawFields, unsafeInValue: RegExp): string {
  let lines = "";
  let values = "";
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    const { isToken, lineStart } = fieldName(name);
    if (!isToken) throw new TypeError(`invalid character in a field's name: ${name}`);
    lines += lineStart + value;
    values += value;
  }
  // One search for all values: starting a search costs as much as searching most values.
  if (unsafeInValue.test(values)) throw new TypeError("invalid character in a field's value");
  return lines;
}

/** Throws a TypeError at a character with which a field line could end early; for heads that another library renders. */
export function checkFields(fields: RawFields): void {
  renderFields(fields);
}

/** The status lines with the usual reason phrase, rendered once. */
const usualLines = new Map<number, string>();

/** Renders a status line without its CRLF. Throws an error at a status or reason phrase that it cannot hold. */
export function renderStatusLine(status: number, reason: string): string {
  if (reason !== STATUS_CODES[status]) return statusLine(status, reason);
  const known = usualLines.get(status);
  if (known !== undefined) return known;
  const line = statusLine(status, reason);
  usualLines.set(status, line);
  return line;
}

function statusLine(status: number, reason: string): string {
  if (!Number.isInteger(status) || status < 100 || status > 999)
    throw new RangeError(`invalid status: ${status}`);
  if (!isFieldValue(reason)) throw new TypeError("invalid character in a reason phrase");
  return `HTTP/1.1 ${status} ${reason}`;
}

/** Throws a TypeError unless a request line can hold the target: no character in it may end it early. */
export function checkTarget(target: string): void {
  if (!TARGET.test(target)) throw new TypeError("invalid character in a request target");
}

/** Renders the head of a request. Throws a TypeError at a character that could end a line early. */
export function renderRequest(
  method: string,
  target: string,
  fields: RawFields,
  httpVersion: string = "1.1",
): string {
  // A method and a field's name are both tokens.
  if (!fieldName(method).isToken) throw new TypeError("invalid character in a method");
  checkTarget(target);
  return `${method} ${target} HTTP/${httpVersion}${renderFields(fields)}\r\n\r\n`;
}
