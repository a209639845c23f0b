import type { RawFields } from "../base/fields.ts";

const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const UNSAFE_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * The head of a request as it goes out, in latin1.
 *
 * Everything in it came through a parser or a schema. It is looked at all the same: a line break here would be
 * a second request, in the gateway's name.
 */
export function renderRequest(method: string, path: string, fields: RawFields, keepsAlive: boolean): string {
  if (!TOKEN.test(method) || !TARGET.test(path)) throw new TypeError("a request line that would be two");
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    if (UNSAFE_IN_VALUE.test(value) || !TOKEN.test(name))
      throw new TypeError(`${name}: a field that would be two`);
    head += `${name}: ${value}\r\n`;
  }
  return head + (keepsAlive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}
