import { ParseFault } from "./parse-fault.ts";

/** The most bytes of a response head, or of the trailers of a body: as Node's own parser. */
export const MAX_BLOCK_BYTES = 16 * 1024;

/** Of a block that goes on: enough to tell whether it begins as it must. */
const BEGINNING = 64;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const DEL = 0x7f;

/**
 * Lines up to and including an empty one, however the reads are cut: a response head, or trailers.
 *
 * A line ends with CRLF and nothing else, and holds no other control character than a tab. Both are seen to as
 * the bytes come, so that what is no HTTP is known before its end, which may never come.
 */
export class LineBlock {
  /** All lines but the empty one, each with its CRLF; while the block goes on, how it begins. */
  text = "";
  /** What came in earlier reads; most blocks come in one. */
  #held: Buffer | undefined;
  #heldLength = 0;
  /** Counted from the start of the block: up to where it was looked at, and where the present line begins. */
  #scanned = 0;
  #lineStart = 0;

  /**
   * Takes `bytes` from `from` up to `end`. Returns where the block ends in them, or -1 when it goes on.
   *
   * Throws a ParseFault when this can become no block.
   */
  take(bytes: Buffer, from: number, end: number): number {
    if (this.#held !== undefined) return this.#takeMore(this.#held, bytes, from, end);
    const limit = Math.min(end, from + MAX_BLOCK_BYTES);
    const stop = this.#scan(bytes, from, limit);
    if (stop >= 0) this.text = bytes.toString("latin1", from, stop - 2);
    else this.#hold(bytes, from, limit);
    return stop;
  }

  #takeMore(held: Buffer, bytes: Buffer, from: number, end: number): number {
    const before = this.#heldLength;
    this.#heldLength += bytes.copy(held, before, from, end);
    const stop = this.#scan(held, 0, this.#heldLength);
    this.text = held.toString("latin1", 0, stop < 0 ? Math.min(this.#heldLength, BEGINNING) : stop - 2);
    if (stop >= 0) return from + stop - before;
    this.#checkLength();
    return -1;
  }

  #hold(bytes: Buffer, from: number, end: number): void {
    this.#held = Buffer.allocUnsafe(MAX_BLOCK_BYTES);
    this.#heldLength = bytes.copy(this.#held, 0, from, end);
    this.text = bytes.toString("latin1", from, Math.min(end, from + BEGINNING));
    this.#checkLength();
  }

  #checkLength(): void {
    if (this.#heldLength === MAX_BLOCK_BYTES)
      throw new ParseFault(`more than ${MAX_BLOCK_BYTES} bytes of head`);
  }

  #scan(bytes: Buffer, base: number, end: number): number {
    let at = base + this.#scanned;
    let lineStart = base + this.#lineStart;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x20 ? byte !== DEL : byte === TAB) continue;
      if (byte !== CR) throw new ParseFault(`byte ${byte} in a head`);
      // Its LF is still to come; looked at again with it.
      if (at + 1 === end) break;
      if (bytes[at + 1] !== LF) throw new ParseFault("a bare CR");
      if (lineStart === at) return at + 2;
      at++;
      lineStart = at + 1;
    }
    this.#scanned = at - base;
    this.#lineStart = lineStart - base;
    return -1;
  }
}
