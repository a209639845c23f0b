import { fieldName } from "./field-name.ts";
import type { RawFields } from "./fields.ts";

const UNSAFE_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether a text can stand as a field's value: nothing in it ends its line, and each character is one byte. */
export function isFieldValue(text: string): boolean {
  return !UNSAFE_IN_VALUE.test(text);
}

/**
 * Fields as they stand in a head, each with its line end, in latin1. Throws a TypeError at what would end one early.
 *
 * Everything in them came through a parser or a schema. It is looked at all the same: a line break here would be a
 * second field, or a second message, in the gateway's name (CWE-113).
 */
export function renderFields(fields: RawFields): string {
  let lines = "";
  let values = "";
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    if (!fieldName(name).isToken) throw new TypeError(`invalid character in a field's name: ${name}`);
    lines += `${name}: ${value}\r\n`;
    values += value;
  }
  // All of them at once: to begin a search costs as much as to look through most values.
  if (!isFieldValue(values)) throw new TypeError("invalid character in a field's value");
  return lines;
}
