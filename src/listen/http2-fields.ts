import type { OutgoingHttpHeaders } from "node:http2";
import { fieldName } from "../http/field-name.ts";
import { isResponseValue } from "../http/render-head.ts";

/** Fields of an HTTP/1 connection, which make an HTTP/2 message malformed (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** White space at the start or end of a value makes an HTTP/2 message malformed (RFC 9113 section 8.2.1). */
const BLANKS: ReadonlySet<string> = new Set([" ", "\t"]);

/**
 * Control characters, which HTTP/2 allows but for NUL, CR and LF. Many clients do not: those on nghttp2 drop the field,
 * and Go's resets the stream. So each becomes a space (RFC 9110 section 5.5).
 */
const CONTROLS = /[^\t\x20-\x7e\x80-\xff]/g;

/**
 * Sends flat fields as the head or the trailers of an HTTP/2 message.
 *
 * Node throws an error when a field that may occur once is repeated, as a backend may send it, and does not say which
 * field: then each repeated field is sent as one list, which means the same (RFC 9110 section 5.3). Throws a TypeError
 * at a character that could end a field early.
 */
export function sendFields(fields: readonly string[], send: (headers: OutgoingHttpHeaders) => void): void {
  const lines = linesByName(fields);
  try {
    send(Object.fromEntries(lines));
  } catch (error) {
    if (!isSaidTwice(error)) throw error;
    send(Object.fromEntries([...lines].map(([name, values]) => [name, listOf(name, values)])));
  }
}

/** Returns the fields by their names in lower case, without those of a connection; repeated lines stay separate. */
function linesByName(fields: readonly string[]): Map<string, string | string[]> {
  const lines = new Map<string, string | string[]>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const { lower: name, isToken } = fieldName(fields[at] ?? "");
    if (CONNECTION_FIELDS.has(name)) continue;
    if (!isToken) throw new TypeError(`invalid character in a field's name: ${name}`);
    const received = fields[at + 1] ?? "";
    if (!isResponseValue(received)) throw new TypeError(`invalid character in the value of ${name}`);
    const value = withoutBlanks(received.replace(CONTROLS, " "));
    const known = lines.get(name);
    if (known === undefined) lines.set(name, value);
    else if (typeof known === "string") lines.set(name, [known, value]);
    else known.push(value);
  }
  return lines;
}

function withoutBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && BLANKS.has(value[start] ?? "")) start++;
  while (end > start && BLANKS.has(value[end - 1] ?? "")) end--;
  return value.slice(start, end);
}

function isSaidTwice(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_HTTP2_HEADER_SINGLE_VALUE";
}

/** Joins values to a list; never those of Set-Cookie, which hold commas. */
function listOf(name: string, values: string | string[]): string | string[] {
  return typeof values === "string" || name === "set-cookie" ? values : values.join(", ");
}
