import type { FaultOwner } from "../base/guard.ts";
import type { SharedBytes } from "./shared-bytes.ts";
import type { BorrowedBytes } from "./source.ts";

/**
 * The way back to one client, whatever it speaks: HTTP/1.0, HTTP/1.1 or HTTP/2.
 *
 * What is written in one turn may leave in one packet, never later than that turn. Nothing may be written
 * once it is closed; calls are then without effect.
 */
export interface ClientResponse {
  /** A head was given to `writeHead`: the status can no longer change. */
  readonly isHeadSent: boolean;
  /** Nothing can be written any more: it was sent, broken off, or the client left. */
  readonly isClosed: boolean;
  /** `end` was called, and the kernel has taken every byte. */
  readonly isWhole: boolean;
  /** Bytes written that the kernel has not taken. */
  readonly pendingBytes: number;
  /** Bytes of this response that the kernel has taken, to tell a slow client from one that has stopped. */
  readonly takenBytes: number;

  /** Names the exchange that ends with a fault in one of the callbacks below; called before any of them is given. */
  ownedBy(owner: FaultOwner): void;
  /** Tells a client that waits for it to send its body. */
  writeContinue(): void;
  /** Prepares the head, `fields` flat; it leaves with the first write, with `end`, or with `flushHead`. */
  writeHead(status: number, reason: string | undefined, fields: readonly string[]): void;
  /** Sends the head now, ahead of any body. */
  flushHead(): void;
  /**
   * Writes a part of the body: the bytes from `start` up to `end`, or all of them. They are borrowed: an implementation
   * copies what it keeps. Returns false when more is pending than the connection buffers; `onDrain` then calls back.
   */
  write(bytes: BorrowedBytes, start?: number, end?: number): boolean;
  /** Writes a part of the body that many clients get; its bytes must never change. */
  writeShared(bytes: SharedBytes): boolean;
  /** Ends a body that is whole, with its last part if there is one, and its trailer fields. */
  end(lastPart?: Buffer, trailers?: readonly [name: string, value: string][]): void;
  /** Breaks off a body that is not whole, after what was written, so that no client takes it for complete. */
  breakOff(): void;

  /** Calls back once, when it closes for whatever reason, soon if it has closed; returns what takes the callback back. */
  onClose(callback: () => void): () => void;
  /** Calls back each time all of what waited has been taken, after a `write` that returned false. */
  onDrain(callback: () => void): void;
}

/** What tells that nobody wants an answer any more. */
export type Cancellation = Pick<ClientResponse, "isClosed" | "onClose">;
