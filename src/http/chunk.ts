import type { RawFields } from "./fields.ts";
import { renderFields } from "./render-head.ts";
import type { BorrowedBytes } from "./source.ts";

/** Encodes HTTP/1.1's chunked coding (RFC 9112 section 7.1). No part may be empty: an empty chunk ends the body. */

const CR = 0x0d;
const LF = 0x0a;
const DIGITS = Buffer.from("0123456789abcdef");
const BITS_OF_A_DIGIT = 4;
const MAX_DIGITS = 8;
const NO_TRAILERS = "0\r\n\r\n";

/** Bytes of a chunk before its part, at most: the digits of 4 GiB and CRLF. */
export const ROOM_BEFORE = MAX_DIGITS + 2;
/** Bytes of a chunk after its part: CRLF. */
export const ROOM_BEHIND = 2;

/** Returns a part as a chunk, in a new buffer. */
export function toChunk(part: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(ROOM_BEFORE + part.length + ROOM_BEHIND);
  chunk.set(part, ROOM_BEFORE);
  return chunk.subarray(frame(chunk, ROOM_BEFORE, ROOM_BEFORE + part.length));
}

/**
 * Returns a part of `bytes` as a chunk, as text in latin1. For a few bytes, writing text to a socket creates fewer
 * objects than writing a buffer. But text that waits for the client is kept in V8's heap, and a buffer is not.
 *
 * Writes into `bytes` around the part if there is room, as the lender of borrowed bytes allows.
 */
export function toChunkText(bytes: BorrowedBytes, start: number, end: number): string {
  if (start < ROOM_BEFORE || end + ROOM_BEHIND > bytes.length)
    return toChunk(bytes.subarray(start, end)).toString("latin1");
  return bytes.toString("latin1", frame(bytes, start, end), end + ROOM_BEHIND);
}

/** Returns the last chunk with its trailers. Throws a TypeError at a character that could end a field line early. */
export function lastChunk(trailers: RawFields): string {
  return trailers.length === 0 ? NO_TRAILERS : `0${renderFields(trailers)}\r\n\r\n`;
}

/**
 * Writes size and CRLF before a part and CRLF after it, and returns the start of the chunk. Digits are written by
 * hand because `toString(16)` is a call into V8.
 */
export function frame(bytes: Buffer, start: number, end: number): number {
  bytes[end] = CR;
  bytes[end + 1] = LF;
  let at = start;
  bytes[--at] = LF;
  bytes[--at] = CR;
  for (let size = end - start; size > 0; size >>>= BITS_OF_A_DIGIT)
    bytes[--at] = DIGITS[size & 0xf] as number;
  return at;
}
