import type { RawFields } from "./fields.ts";
import { ParseError } from "./parse-error.ts";

/** How the end of a response's body is delimited, and whether its connection can serve another request. */
export interface Framing {
  readonly body: "none" | "length" | "chunked" | "close";
  /** Content-Length in bytes; 0 without one. */
  readonly length: number;
  readonly isPersistent: boolean;
  /** Undefined without a Keep-Alive field. */
  readonly keepAlive: KeepAlive | undefined;
}

/** The parameters of a Keep-Alive field. */
export interface KeepAlive {
  /** How long the backend keeps the connection idle, in ms; infinite if it does not say. */
  readonly timeoutMs: number;
  /** The most requests of the connection; infinite if it does not say. */
  readonly max: number;
}

/** In ms, at most half of the backend's time: it began to count when it sent the response, and a request has to reach it. */
const IDLE_MARGIN_MS = 1_000;

/** The values of the fields about framing and the connection; undefined for a missing field. */
interface Facts {
  length: number | undefined;
  isChunked: boolean;
  closes: boolean;
  keepsAlive: boolean;
  keepAlive: KeepAlive | undefined;
}

/**
 * Returns the framing of a response (RFC 9112 section 6.3). Throws a ParseError if its fields contradict each other.
 *
 * That holds for a response without a body too: another parser may see a body there, and so another end.
 */
export function framingOf(fields: RawFields, status: number, isHttp10: boolean, isHead: boolean): Framing {
  const facts = factsOf(fields);
  const { length, isChunked } = facts;
  if (isChunked && length !== undefined) throw new ParseError("both Content-Length and Transfer-Encoding");
  if (isChunked && isHttp10) throw new ParseError("Transfer-Encoding in HTTP/1.0");
  const isBodyless = isHead || status === 204 || status === 304 || status < 200;
  const body = isBodyless ? "none" : isChunked ? "chunked" : length === undefined ? "close" : "length";
  return {
    body: body === "length" && length === 0 ? "none" : body,
    length: length ?? 0,
    isPersistent: body !== "close" && !facts.closes && (!isHttp10 || facts.keepsAlive),
    keepAlive: facts.keepAlive,
  };
}

function factsOf(fields: RawFields): Facts {
  const facts: Facts = {
    length: undefined,
    isChunked: false,
    closes: false,
    keepsAlive: false,
    keepAlive: undefined,
  };
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const { length } = fields[at] as string;
    // The lengths of the four names, so that other names need not be lower-cased.
    if (length === 10 || length === 14 || length === 17)
      note(facts, fields[at] as string, fields[at + 1] as string);
  }
  return facts;
}

function note(facts: Facts, name: string, value: string): void {
  switch (name.toLowerCase()) {
    case "content-length":
      if (facts.length !== undefined) throw new ParseError("more than one Content-Length");
      facts.length = lengthOf(value);
      return;
    case "transfer-encoding":
      if (facts.isChunked || value.toLowerCase() !== "chunked")
        throw new ParseError("Transfer-Encoding is not a single chunked");
      facts.isChunked = true;
      return;
    case "connection":
      for (const option of value.toLowerCase().split(",")) {
        if (option.trim() === "close") facts.closes = true;
        else if (option.trim() === "keep-alive") facts.keepsAlive = true;
      }
      return;
    case "keep-alive":
      facts.keepAlive = keepAliveOf(value);
      return;
  }
}

function lengthOf(value: string): number {
  const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(length)) throw new ParseError("invalid Content-Length");
  return length;
}

const TIMEOUT = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i;
const MAX = /(?:^|[,\s])max=(\d{1,6})(?:$|[,\s])/i;

function keepAliveOf(value: string): KeepAlive {
  const number = (pattern: RegExp) => Number(pattern.exec(value)?.[1] ?? Number.POSITIVE_INFINITY);
  return { timeoutMs: number(TIMEOUT) * 1000, max: number(MAX) };
}

/**
 * Returns how long a connection may be idle by the backend's Keep-Alive field, after this many requests. Apache counts
 * `max` down, other servers repeat it: as a bound of all requests it holds for both.
 */
export function idleMsOf(hint: KeepAlive | undefined, requests: number): number {
  if (hint === undefined) return Number.POSITIVE_INFINITY;
  const { timeoutMs, max } = hint;
  return requests >= max ? 0 : Math.max(timeoutMs - IDLE_MARGIN_MS, timeoutMs / 2);
}
