import type { RawFields } from "../http/fields.ts";

/** A request. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** The version in the request line of HTTP/1. */
  readonly version: "1.0" | "1.1";
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer | undefined;
}

/** A response head. */
export interface WireHead {
  readonly status: number;
  readonly protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  readonly fields: RawFields;
  /** How the end of the body is delimited. */
  readonly framing: "none" | "chunked" | "length" | "close" | "frames";
}

/**
 * How a body ended: `complete`; broken off (`truncated`, `reset`); or `closed`, when the end of the connection delimits
 * the body and a break looks the same.
 */
export type EndKind = "complete" | "truncated" | "reset" | "closed";

/** Receives one response; `at` is the time of the read, by performance.now(). */
export interface WireListener {
  onHead(head: WireHead, at: number): void;
  /** Never empty; valid during the call only. */
  onBody(bytes: Buffer, at: number): void;
  onEnd(kind: EndKind, at: number): void;
  /** Called when no readable response came. */
  onFault(detail: string): void;
}

/** A response under way. */
export interface Exchange {
  /** Closes the connection; the listener is not called again. */
  close(): void;
}
