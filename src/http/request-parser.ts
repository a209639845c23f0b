import type { ClientRequest } from "./client-request.ts";
import { fieldName } from "./field-name.ts";

/** What a request's head may be at most. */
export interface HeadLimits {
  /** Request line and fields together, in bytes. */
  readonly headerBytes: number;
  readonly headers: number;
}

/** A request without a body. */
export interface PlainRequest extends ClientRequest {
  readonly body: undefined;
  readonly isWhole: true;
  /** The client has not said that this request is its last. */
  readonly keepsAlive: boolean;
}

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;

/** What each byte may be part of. */
const KINDS = new Uint8Array(256);
// No tab: behind `close` it makes another option of it for llhttp, though it may stand there.
for (let code = 0x20; code < 0x7f; code++) KINDS[code] = VALUE | TARGET;
KINDS[0x20] = VALUE;
// A fragment is none of a server's business (RFC 9112 section 3.2): others say how it is refused.
KINDS[0x23] = VALUE;
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  const code = char.charCodeAt(0);
  KINDS[code] = (KINDS[code] ?? 0) | TOKEN;
}

const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const SLASH = 0x2f;
const COLON = 0x3a;

const METHOD = "GET ";
const VERSION = " HTTP/1.1\r\n";

/**
 * Reads the requests that leave nothing to interpret: GET, HTTP/1.1, a path, one Host, no body, no
 * upgrade, nothing but visible ASCII, and all of it in `bytes`, with nothing behind it. Undefined for every
 * other, which says nothing about it: node:http reads it, and reads or refuses it as it always did.
 */
export function parseRequest(bytes: Buffer, limits: HeadLimits): PlainRequest | undefined {
  if (bytes.length >= limits.headerBytes) return undefined;
  const text = bytes.toString("latin1");
  if (!text.startsWith(METHOD) || !text.endsWith("\r\n\r\n")) return undefined;
  const begin = METHOD.length;
  const end = endOf(TARGET, bytes, begin);
  if (bytes[begin] !== SLASH || !text.startsWith(VERSION, end)) return undefined;
  const rawHeaders = parseFields(bytes, text, end + VERSION.length, limits.headers);
  if (rawHeaders === undefined) return undefined;
  const keepsAlive = keepAliveOf(rawHeaders);
  if (keepsAlive === undefined) return undefined;
  return {
    method: "GET",
    url: text.slice(begin, end),
    httpVersion: "1.1",
    rawHeaders,
    body: undefined,
    isWhole: true,
    keepsAlive,
  };
}

/** Where a run of bytes of one kind ends. */
function endOf(kind: number, bytes: Buffer, begin: number): number {
  let at = begin;
  // The line end behind the last one is of no kind.
  while (((KINDS[bytes[at] as number] as number) & kind) !== 0) at++;
  return at;
}

/** The field lines from `begin` to the empty line that ends `bytes`, which say the same as `text`. */
function parseFields(bytes: Buffer, text: string, begin: number, maxFields: number): string[] | undefined {
  const last = bytes.length - 2;
  const fields: string[] = [];
  let at = begin;
  while (at < last) {
    const colon = endOf(TOKEN, bytes, at);
    if (colon === at || bytes[colon] !== COLON) return undefined;
    let from = colon + 1;
    while (bytes[from] === SP) from++;
    const cr = endOf(VALUE, bytes, from);
    if (bytes[cr] !== CR || bytes[cr + 1] !== LF) return undefined;
    let to = cr;
    while (to > from && bytes[to - 1] === SP) to--;
    fields.push(fieldName(text.slice(at, colon)).spelled, text.slice(from, to));
    at = cr + 2;
  }
  return at === last && fields.length <= 2 * maxFields ? fields : undefined;
}

/**
 * Returns whether the client lets the connection go on; undefined unless there is exactly one Host, and no field that
 * frames a body or asks for another protocol.
 */
function keepAliveOf(fields: readonly string[]): boolean | undefined {
  let hasHost = false;
  let connection: string | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? "";
    if (!isOfNote(name.length)) continue;
    const value = fields[at + 1] ?? "";
    switch (name.toLowerCase()) {
      case "host":
        if (hasHost) return undefined;
        hasHost = true;
        break;
      case "connection":
        if (connection !== undefined) return undefined;
        connection = value.toLowerCase();
        break;
      case "content-length":
      case "transfer-encoding":
      case "expect":
      case "upgrade":
      case "proxy-connection":
        return undefined;
    }
  }
  if (!hasHost) return undefined;
  const keepsAlive = connection === undefined || connection === "keep-alive";
  return keepsAlive || connection === "close" ? keepsAlive : undefined;
}

/** Whether a name of that length can be one of those above; most are told apart by it. */
function isOfNote(length: number): boolean {
  switch (length) {
    case 4:
    case 6:
    case 7:
    case 10:
    case 14:
    case 16:
    case 17:
      return true;
    default:
      return false;
  }
}
