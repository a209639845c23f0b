import type { RawFields } from "./fields.ts";
import { ParseFault } from "./parse-fault.ts";

/** How the body of a response is delimited, and whether its connection can serve another request. */
export interface Framing {
  readonly body: "none" | "length" | "chunked" | "close";
  /** Of a body with Content-Length, in bytes. */
  readonly length: number;
  readonly isPersistent: boolean;
  /** How long the backend says that it keeps an idle connection, in ms; undefined when it does not say. */
  readonly keepAliveMs: number | undefined;
}

/** What the fields say; undefined where they say nothing. */
interface Facts {
  length: number | undefined;
  isChunked: boolean;
  closes: boolean;
  keepsAlive: boolean;
  keepAliveMs: number | undefined;
}

/**
 * The framing of a response (RFC 9112 section 6.3), where it is said in one way only.
 *
 * Fields that contradict each other are a fault even where there is no body: whoever sends them may be two
 * responses, and another reader may see another end.
 */
export function framingOf(fields: RawFields, status: number, isHttp10: boolean, isHead: boolean): Framing {
  const facts = factsOf(fields);
  const { length, isChunked } = facts;
  if (isChunked && length !== undefined) throw new ParseFault("Content-Length beside Transfer-Encoding");
  if (isChunked && isHttp10) throw new ParseFault("Transfer-Encoding of HTTP/1.0");
  const isBodyless = isHead || status === 204 || status === 304 || status < 200;
  const body = isBodyless ? "none" : isChunked ? "chunked" : length === undefined ? "close" : "length";
  return {
    body: body === "length" && length === 0 ? "none" : body,
    length: length ?? 0,
    isPersistent: body !== "close" && !facts.closes && (!isHttp10 || facts.keepsAlive),
    keepAliveMs: facts.keepAliveMs,
  };
}

function factsOf(fields: RawFields): Facts {
  const facts: Facts = {
    length: undefined,
    isChunked: false,
    closes: false,
    keepsAlive: false,
    keepAliveMs: undefined,
  };
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const { length } = fields[at] as string;
    // The lengths of the four names: the others cost no string of their own.
    if (length === 10 || length === 14 || length === 17)
      note(facts, fields[at] as string, fields[at + 1] as string);
  }
  return facts;
}

function note(facts: Facts, name: string, value: string): void {
  switch (name.toLowerCase()) {
    case "content-length":
      if (facts.length !== undefined) throw new ParseFault("two Content-Lengths");
      facts.length = lengthOf(value);
      return;
    case "transfer-encoding":
      if (facts.isChunked || value.toLowerCase() !== "chunked")
        throw new ParseFault("Transfer-Encoding other than one chunked");
      facts.isChunked = true;
      return;
    case "connection":
      for (const option of value.toLowerCase().split(",")) {
        if (option.trim() === "close") facts.closes = true;
        else if (option.trim() === "keep-alive") facts.keepsAlive = true;
      }
      return;
    case "keep-alive":
      facts.keepAliveMs = keepAliveMs(value);
      return;
  }
}

function lengthOf(value: string): number {
  const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(length)) throw new ParseFault("a Content-Length that is no number");
  return length;
}

function keepAliveMs(value: string): number | undefined {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
