import { PartialBytes } from "./partial-bytes.ts";
import type { PartReader, Parts } from "./parts.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Splits a body into its JSON objects: one object, one on each line, or the elements of one array, whatever its chunks
 * are. It does not check the JSON; `JSON.parse` does. Its depth is a number, so that no depth exhausts the stack.
 */
export class JsonParts implements Parts {
  readonly #reader: PartReader;
  readonly #partial: PartialBytes;
  #count = 0;
  /** The number of brackets and braces that are open. */
  #depth = 0;
  /** The depth of the objects that are parts: 1 in an array, else 0. */
  #partDepth = 0;
  #isInString = false;
  /** Whether the last byte was a backslash in a string. */
  #isEscaped = false;

  constructor(reader: PartReader, maxBytes: number) {
    this.#reader = reader;
    this.#partial = new PartialBytes(maxBytes);
  }

  get count(): number {
    return this.#count;
  }

  /** Whether the body is an array, whose elements are parts. */
  get isArray(): boolean {
    return this.#partDepth === 1;
  }

  get hasSkipped(): boolean {
    return this.#partial.hasSkipped;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    let from = start;
    for (let at = start; at < end; at++) {
      if (this.#isInString) {
        at = this.#stringEnd(bytes, at, end);
        continue;
      }
      switch (bytes[at]) {
        case QUOTE:
          this.#isInString = true;
          break;
        case OPEN_BRACKET:
          if (this.#depth === 0) this.#partDepth = 1;
          if (this.#depth === this.#partDepth) from = at;
          this.#depth++;
          break;
        case OPEN_BRACE:
          if (this.#depth === this.#partDepth) from = at;
          this.#depth++;
          break;
        case CLOSE_BRACKET:
        case CLOSE_BRACE:
          this.#close(bytes.subarray(from, at + 1));
          break;
      }
    }
    if (this.#depth > this.#partDepth) this.#partial.hold(bytes.subarray(from, end));
  }

  /** Skips the rest of a string; returns the position of its quote, or of the last byte. */
  #stringEnd(bytes: Buffer, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (bytes[at] === BACKSLASH) this.#isEscaped = true;
      else if (bytes[at] === QUOTE) {
        this.#isInString = false;
        return at;
      }
    }
    return end;
  }

  #close(rest: Buffer): void {
    if (this.#depth === 0) return;
    this.#depth--;
    if (this.#depth !== this.#partDepth) return;
    const part = this.#partial.complete(rest);
    this.#count++;
    if (part !== undefined && this.#reader.wants(part)) this.#reader.read(part.toString("utf8"));
  }
}
