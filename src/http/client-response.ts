import type { FaultOwner } from "../base/guard.ts";
import type { SharedBytes } from "./shared-bytes.ts";
import type { BorrowedBytes } from "./source.ts";

/** The exchange of a response. */
export interface ResponseUser extends FaultOwner {
  /** Called once, when the response closes, or soon if it has closed; `isWhole`: whether the client got all of it. */
  responseClosed(isWhole: boolean): void;
}

/**
 * The response to one client, by HTTP/1.0, HTTP/1.1 or HTTP/2.
 *
 * All that is written in one turn of the event loop may leave in one packet, but never later than that turn. Calls on a
 * closed response have no effect.
 */
export interface ClientResponse {
  /** Whether `writeHead` was called: the status can no longer change. */
  readonly isHeadSent: boolean;
  /** Whether nothing can be written any more: the response was sent or aborted, or the client left. */
  readonly isClosed: boolean;
  /** Whether `end` was called and the kernel has taken every byte. */
  readonly isWhole: boolean;
  /** Bytes that were written and that the kernel has not taken. */
  readonly pendingBytes: number;
  /** Bytes that the kernel has taken: if they grow, a client is slow; if not, it has stopped reading. */
  readonly takenBytes: number;

  /** Sets its exchange, which a fault in a callback ends. Called before `onClose` and `onDrain`. */
  usedBy(user: ResponseUser): void;
  /** Sends 100 Continue to a client that waits for it before it sends its body. */
  writeContinue(): void;
  /** Sends an interim response (RFC 9110 section 15.2) now; not to an HTTP/1.0 client, and not after the head. */
  writeInterim(status: number, fields: readonly string[]): void;
  /** Prepares the head, with `fields` as a flat list; it is sent with the first write, `end` or `flushHead`. */
  writeHead(status: number, reason: string | undefined, fields: readonly string[]): void;
  /** Sends the head now, ahead of any body. */
  flushHead(): void;
  /**
   * Writes a part of the body: the bytes from `start` up to `end`, or all of them. They are borrowed: an implementation
   * copies what it keeps. Returns false when more is pending than the connection buffers; `onDrain` then calls back.
   */
  write(bytes: BorrowedBytes, start?: number, end?: number): boolean;
  /** Writes a part of the body that several clients get; its bytes must never change. */
  writeShared(bytes: SharedBytes): boolean;
  /** Ends a complete body, with its last part, if any, and its trailer fields. */
  end(lastPart?: Buffer, trailers?: readonly [name: string, value: string][]): void;
  /**
   * Aborts an incomplete body, so that it looks complete to no client. With `delivers` the client first gets all bytes
   * that were written. It may never read them, so the caller bounds the wait with a second call without `delivers`.
   */
  breakOff(delivers?: boolean): void;

  /** Calls back once when the response closes, or soon if it has closed; returns a function that cancels the callback. */
  onClose(callback: () => void): () => void;
  /** Calls back each time the kernel has taken all pending bytes after a `write` that returned false. */
  onDrain(callback: () => void): void;
}

/** A response by HTTP/1, whose first bytes can be sent before its status is known. */
export interface EarlyResponse extends ClientResponse {
  /** Whether bytes of the head, beyond those of `writeAhead`, were given to the connection. */
  readonly hasBegun: boolean;
  /** Writes the next character of "HTTP/1.1 ", with which each head begins; does nothing after the last one. */
  writeAhead(): void;
}

/** Tells that the client has left, so that its request can be cancelled. */
export type Cancellation = Pick<ClientResponse, "isClosed" | "onClose">;
