import { fieldName } from "./field-name.ts";
import type { RawFields } from "./fields.ts";
import { renderFields } from "./render-fields.ts";

const TARGET = /^[\x21-\x7e\x80-\xff]+$/;

/** The head of a request as it goes out, in latin1. Throws a TypeError at what would be more than one. */
export function renderRequest(method: string, path: string, fields: RawFields, keepsAlive: boolean): string {
  // A method and a field's name are both tokens.
  if (!fieldName(method).isToken || !TARGET.test(path))
    throw new TypeError("a request line that would be two");
  const connection = keepsAlive ? "keep-alive" : "close";
  return `${method} ${path} HTTP/1.1\r\n${renderFields(fields)}Connection: ${connection}\r\n\r\n`;
}
