import type { ClientRequest } from "./client-request.ts";
import { parseFieldLines } from "./field-lines.ts";
import { ParseError } from "./parse-error.ts";

/** Bounds of a request's head. */
export interface HeadLimits {
  /** Request line and fields together, in bytes. */
  readonly headerBytes: number;
  readonly headers: number;
}

/** A request without a body. */
export interface PlainRequest extends ClientRequest {
  readonly body: undefined;
  readonly isWhole: true;
  /** Whether the client lets the connection go on after the response. */
  readonly keepsAlive: boolean;
}

/**
 * The head of a GET by HTTP/1.1, with any fields, in visible ASCII and spaces.
 *
 * Without tabs, because llhttp reads `close` with a tab after it as another option. Without `#` in the target, because a
 * fragment (RFC 9112 section 3.2) is refused after node:http has read it.
 */
const PLAIN_HEAD = /^GET (\/[!"$-~]*) HTTP\/1\.1\r\n(?:[ -~]+\r\n)*\r\n$/;
const BEFORE_TARGET = "GET ".length;
const BEHIND_TARGET = " HTTP/1.1\r\n".length;
const EMPTY_LINE = "\r\n".length;

/**
 * Reads the bytes of one read as one GET without a body, if no two parsers could read them in different ways.
 *
 * Returns undefined for all other bytes: node:http then reads them, and answers or refuses them.
 */
export function parseRequest(bytes: Buffer, limits: HeadLimits): PlainRequest | undefined {
  if (bytes.length >= limits.headerBytes) return undefined;
  const text = bytes.toString("latin1");
  const url = PLAIN_HEAD.exec(text)?.[1];
  if (url === undefined) return undefined;
  const fieldLines = text.slice(BEFORE_TARGET + url.length + BEHIND_TARGET, -EMPTY_LINE);
  const rawHeaders = parseFields(fieldLines);
  if (rawHeaders === undefined || rawHeaders.length > 2 * limits.headers) return undefined;
  const keepsAlive = keepAliveOf(rawHeaders);
  if (keepsAlive === undefined) return undefined;
  return { method: "GET", url, httpVersion: "1.1", rawHeaders, body: undefined, isWhole: true, keepsAlive };
}

function parseFields(lines: string): string[] | undefined {
  try {
    return parseFieldLines(lines, 0);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
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

/** Whether a name above has this length; most other names have a different one. */
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
