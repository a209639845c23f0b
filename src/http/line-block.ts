import { ParseError } from "./parse-error.ts";

/** The maximum number of bytes of a block, unless its reader sets another limit; Node's own parser has the same. */
export const MAX_BLOCK_BYTES = 16 * 1024;

/** Bytes of an incomplete block that `text` shows: enough to check the beginning of a status line. */
const BEGINNING = 64;

/** The size of the first buffer for an incomplete block. */
const FIRST_BYTES = 4 * 1024;

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

/**
 * Lines up to and including an empty line, over any number of reads: a response head, or trailers.
 *
 * A line ends with CRLF only, and holds no NUL: both are checked as the bytes come, so that invalid bytes are found
 * before the end of the block, which may never come. Other control characters are allowed, as in nginx and in browsers
 * (RFC 9110 section 5.5).
 */
export class LineBlock {
  /** All lines but the empty one, each with its CRLF; the first bytes while the block is incomplete. */
  text = "";
  /** The bytes of earlier reads; most blocks come in one read. */
  #held: Buffer | undefined;
  #heldLength = 0;
  /** Offsets in the block: the end of what was checked, and the beginning of the present line. */
  #scanned = 0;
  #lineStart = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number = MAX_BLOCK_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes `bytes` from `from` up to `end`. Returns the end of the block in them, or -1 while it is incomplete.
   *
   * Throws a ParseError at invalid bytes, and at more than the maximum number of bytes.
   */
  take(bytes: Buffer, from: number, end: number): number {
    if (this.#held !== undefined) return this.#takeMore(bytes, from, end);
    const limit = Math.min(end, from + this.#maxBytes);
    const stop = this.#scan(bytes, from, limit);
    if (stop >= 0) this.text = bytes.toString("latin1", from, stop - 2);
    else this.#hold(bytes, from, limit);
    return stop;
  }

  #takeMore(bytes: Buffer, from: number, end: number): number {
    const before = this.#heldLength;
    const held = this.#grown(Math.min(before + end - from, this.#maxBytes));
    this.#heldLength += bytes.copy(held, before, from, end);
    const stop = this.#scan(held, 0, this.#heldLength);
    this.text = held.toString("latin1", 0, stop < 0 ? Math.min(this.#heldLength, BEGINNING) : stop - 2);
    if (stop >= 0) return from + stop - before;
    this.#checkLength();
    return -1;
  }

  #hold(bytes: Buffer, from: number, end: number): void {
    this.#heldLength = bytes.copy(this.#grown(end - from), 0, from, end);
    this.text = bytes.toString("latin1", from, Math.min(end, from + BEGINNING));
    this.#checkLength();
  }

  #checkLength(): void {
    if (this.#heldLength === this.#maxBytes)
      throw new ParseError(`head of more than ${this.#maxBytes} bytes`);
  }

  /** Returns the held bytes in a buffer with room for `length`; a head that comes byte by byte is copied a few times. */
  #grown(length: number): Buffer {
    const held = this.#held;
    if (held !== undefined && held.length >= length) return held;
    const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(2 * length, FIRST_BYTES)));
    held?.copy(grown, 0, 0, this.#heldLength);
    this.#held = grown;
    return grown;
  }

  #scan(bytes: Buffer, base: number, end: number): number {
    let at = base + this.#scanned;
    let lineStart = base + this.#lineStart;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte > CR || (byte !== CR && byte !== LF && byte !== NUL)) continue;
      if (byte !== CR) throw new ParseError(`invalid byte ${byte} in the head`);
      // Its LF has not arrived yet; the CR is checked again with it.
      if (at + 1 === end) break;
      if (bytes[at + 1] !== LF) throw new ParseError("CR without LF");
      if (lineStart === at) return at + 2;
      at++;
      lineStart = at + 1;
    }
    this.#scanned = at - base;
    this.#lineStart = lineStart - base;
    return -1;
  }
}
