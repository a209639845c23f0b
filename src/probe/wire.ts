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
  /** How the body's end is marked. */
  readonly framing: "none" | "chunked" | "length" | "close" | "frames";
}

/**
 * How a body ended: `complete`; aborted (`truncated`, `reset`); or `closed`, if the end of the connection is the end
 * of the body, so that an aborted body looks the same.
 */
export type EndKind = "complete" | "truncated" | "reset" | "closed";

/** Receives one response; `at` is the time of the read, by performance.now(). */
export interface WireListener {
  onHead(head: WireHead, at: number): void;
  /** Never empty; valid during the call only. */
  onBody(bytes: Buffer, at: number): void;
  onEnd(kind: EndKind, at: number): void;
  /** Called if no readable response arrives. */
  onFault(detail: string): void;
}

/** A request whose response is being read. */
export interface Exchange {
  /** Closes the connection; the listener is not called again. */
  close(): void;
}
