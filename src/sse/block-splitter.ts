import { GrowingBytes } from "../base/growing-bytes.ts";
import { ByteOrderMark } from "./byte-order-mark.ts";

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const NOTHING = Buffer.alloc(0);

/**
 * Cuts an event stream into its event blocks, however its chunks are cut.
 *
 * Comment lines in front of a block are dropped: they are one hop's signs of life. Bytes of a block are not
 * changed. What has not come whole when the stream ends was never an event (WHATWG HTML, section 9.2.6).
 */
export class BlockSplitter {
  readonly #mark = new ByteOrderMark();
  readonly #limit: number;
  #chunk: Buffer = NOTHING;
  /** Where in the chunk the current block goes on, or begins. */
  #from = 0;
  /** What earlier chunks brought of the current block. */
  #held: GrowingBytes | undefined;
  #blocks: Buffer[] = [];
  #isTooLong = false;
  #lineIsEmpty = true;
  /** A line of the current block is no comment. */
  #hasField = false;
  /** The byte before was a CR, whose LF may still come. */
  #afterCr = false;
  /** The line before ended with a CR alone, so that this one is expected to. */
  #loneCr = false;
  /** The CR before ended the block, and the LF that may follow is its last byte. */
  #endsWithCr = false;

  /** `limitBytes` is the longest block that is taken. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /**
   * The blocks that end in this chunk, in bytes of their own; undefined when one is longer than the limit,
   * which is final.
   */
  feed(received: Buffer): Buffer[] | undefined {
    this.#chunk = this.#mark.strip(received);
    this.#from = 0;
    this.#blocks = [];
    for (let at = 0; at < this.#chunk.length; at++) {
      const byte = this.#chunk[at];
      if (byte === LF) this.#lineFeed(at);
      else {
        if (this.#afterCr) this.#wasLoneCr(at);
        if (byte === CR) this.#carriageReturn(at);
        else if (this.#lineIsEmpty) this.#lineStart(byte);
      }
    }
    this.#hold();
    return this.#isTooLong ? undefined : this.#blocks;
  }

  #lineStart(byte: number | undefined): void {
    this.#lineIsEmpty = false;
    if (byte !== COLON) this.#hasField = true;
  }

  #lineFeed(at: number): void {
    this.#loneCr = false;
    if (!this.#afterCr) return void this.#endLine(at + 1);
    this.#afterCr = false;
    // It is the rest of a line end; behind what was cut already it belongs to nothing.
    if (this.#endsWithCr || !this.#hasField) this.#cut(at + 1);
  }

  #carriageReturn(at: number): void {
    this.#afterCr = true;
    // Where lines end with a CR alone, no LF will come, and to wait for it would hold the event back.
    if (this.#hasField && this.#lineIsEmpty && !this.#loneCr) this.#endsWithCr = true;
    else this.#endLine(at + 1);
  }

  /** What follows the CR is no LF. */
  #wasLoneCr(at: number): void {
    this.#afterCr = false;
    this.#loneCr = true;
    if (this.#endsWithCr) this.#cut(at);
  }

  /** An empty line ends a block; a line of comment in front of one is no part of it. */
  #endLine(to: number): void {
    if (this.#lineIsEmpty || !this.#hasField) this.#cut(to);
    this.#lineIsEmpty = true;
  }

  #cut(to: number): void {
    const length = this.#heldBytes + to - this.#from;
    if (this.#hasField && length > this.#limit) this.#isTooLong = true;
    else if (this.#hasField) this.#blocks.push(this.#joined(to, length));
    this.#from = to;
    this.#held = undefined;
    this.#hasField = false;
    this.#lineIsEmpty = true;
    this.#endsWithCr = false;
  }

  #joined(to: number, length: number): Buffer {
    // Not from Node's pool: one event that is kept would keep 8 KiB of it.
    const block = Buffer.allocUnsafeSlow(length);
    const at = this.#held?.bytes.copy(block) ?? 0;
    this.#chunk.copy(block, at, this.#from, to);
    return block;
  }

  #hold(): void {
    const rest = this.#chunk.subarray(this.#from);
    this.#chunk = NOTHING;
    if (rest.length === 0) return;
    if (this.#heldBytes + rest.length > this.#limit) {
      this.#isTooLong = true;
      return;
    }
    this.#held ??= new GrowingBytes();
    this.#held.add(rest);
  }

  get #heldBytes(): number {
    return this.#held?.length ?? 0;
  }
}
