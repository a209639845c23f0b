import type { RawFields } from "../base/fields.ts";

/** One request as it goes out. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Of HTTP/1: what the request line says. */
  readonly version: "1.0" | "1.1";
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
}

/** A response head as it came in. */
export interface WireHead {
  readonly status: number;
  readonly protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  readonly fields: RawFields;
  /** What tells the body's end: chunks, a length, the connection's end, or HTTP/2's own frames. */
  readonly framing: "none" | "chunked" | "length" | "close" | "frames";
}

/**
 * How a body ended: `complete`, broken off (`truncated`, `reset`), or `closed`, where the connection's end is the only
 * sign, so that a break looks the same.
 */
export type EndKind = "complete" | "truncated" | "reset" | "closed";

/** Takes one response, each part with the time of the read that brought it, by performance.now(). */
export interface WireListener {
  onHead(head: WireHead, at: number): void;
  /** Never empty; valid during the call only. */
  onBody(bytes: Buffer, at: number): void;
  onEnd(kind: EndKind, at: number): void;
  /** No response came, or none that can be read. */
  onFault(detail: string): void;
}

/** A response under way. */
export interface Exchange {
  /** Ends it; the listener is not called any more. */
  close(): void;
}
