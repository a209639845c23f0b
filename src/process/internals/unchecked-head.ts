import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";

/** The values that Node accepts, and those that could end a line early. */
const CHECKED = /^[\t\x20-\x7e\x80-\xff]*$/;
const UNSAFE = /[\0\r\n\u0100-\uffff]/;

type RenderedResponse = ServerResponse & { _header: string };

/**
 * Writes the head of a response with flat fields, also with values that hold control characters, which Node refuses and
 * nginx and browsers accept: such a value is put in after Node has rendered the head.
 *
 * - Assumed of Node 20, 22 and 24: `writeHead` renders the head into `_header`, each field as `Name: value` and CRLF, and
 *   sends it from there with the first write.
 * - Without it: these values would have to be changed, for clients other than those of the fast path.
 * - Can go when Node can send a field value without checking it.
 *
 * `write` writes a head without such values, if not `writeHead` of the response with a flat list. Throws a TypeError at
 * a character that could end a line early.
 */
export function writeUncheckedHead(
  response: ServerResponse,
  status: number,
  reason: string | undefined,
  fields: readonly string[],
  write = writeHead,
): void {
  // One search for all texts: almost every head needs no more.
  if (CHECKED.test(fields.join(""))) {
    write(response, status, reason, fields);
    return;
  }
  const unchecked = new Map<string, string>();
  const checked = fields.map((text, at) => {
    if (at % 2 === 0 || CHECKED.test(text)) return text;
    if (UNSAFE.test(text)) throw new TypeError("invalid character in a field's value");
    const standIn = randomUUID();
    unchecked.set(standIn, text);
    return standIn;
  });
  write(response, status, reason, checked);
  const rendered = response as RenderedResponse;
  for (const [standIn, value] of unchecked)
    rendered._header = rendered._header.replace(`: ${standIn}\r\n`, () => `: ${value}\r\n`);
}

function writeHead(
  response: ServerResponse,
  status: number,
  reason: string | undefined,
  fields: readonly string[],
): void {
  // Node does not change the array of flat fields, but its types declare it mutable.
  if (reason === undefined) response.writeHead(status, fields as string[]);
  else response.writeHead(status, reason, fields as string[]);
}
