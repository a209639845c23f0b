/** One chunk of HTTP/1.1's chunked coding (RFC 9112 section 7.1). No part may be empty: that would be the end. */

const CR = 0x0d;
const LF = 0x0a;
const DIGITS = Buffer.from("0123456789abcdef");
const BITS_OF_A_DIGIT = 4;
const MAX_DIGITS = 8;

/** What a chunk takes up before its part, at most: digits for 4 GiB and CRLF. */
export const ROOM_BEFORE = MAX_DIGITS + 2;
/** And behind it: CRLF. */
export const ROOM_BEHIND = 2;

/** A part as a chunk, in bytes of its own. */
export function toChunk(part: Uint8Array): Buffer {
  const chunk = Buffer.allocUnsafe(ROOM_BEFORE + part.length + ROOM_BEHIND);
  chunk.set(part, ROOM_BEFORE);
  return chunk.subarray(frame(chunk, ROOM_BEFORE, ROOM_BEFORE + part.length));
}

/**
 * A part of `bytes` as a chunk, as text in latin1: of all ways to write a few bytes that of the fewest objects, but
 * what has to wait then waits in the heap. Where there is room around the part it is written over.
 */
export function toChunkText(bytes: Buffer, start: number, end: number): string {
  if (start < ROOM_BEFORE || end + ROOM_BEHIND > bytes.length)
    return toChunk(bytes.subarray(start, end)).toString("latin1");
  return bytes.toString("latin1", frame(bytes, start, end), end + ROOM_BEHIND);
}

/** Writes what makes a chunk of a part around it, and returns where that begins. `toString(16)` is a call into V8. */
function frame(bytes: Buffer, start: number, end: number): number {
  bytes[end] = CR;
  bytes[end + 1] = LF;
  let at = start;
  bytes[--at] = LF;
  bytes[--at] = CR;
  for (let size = end - start; size > 0; size >>>= BITS_OF_A_DIGIT)
    bytes[--at] = DIGITS[size & 0xf] as number;
  return at;
}
