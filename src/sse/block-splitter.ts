import { GrowingBytes } from "../base/growing-bytes.ts";
import { ByteOrderMark } from "./byte-order-mark.ts";

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const NOTHING = Buffer.alloc(0);

/**
 * Splits an event stream into event blocks, whatever its chunks are.
 *
 * Comment lines in front of a block are dropped: they are heartbeats of one hop. The bytes of a block are not changed.
 * An incomplete block at the end of the stream is not an event (WHATWG HTML, section 9.2.6).
 */
export class BlockSplitter {
  readonly #mark = new ByteOrderMark();
  readonly #limit: number;
  #chunk: Buffer = NOTHING;
  /** The position in the chunk at which the current block begins or continues. */
  #from = 0;
  /** The part of the current block from earlier chunks. */
  #held: GrowingBytes | undefined;
  #blocks: Buffer[] = [];
  #isTooLong = false;
  #lineIsEmpty = true;
  /** Whether the current block has a line that is not a comment. */
  #hasField = false;
  /** Whether the last byte was a CR, whose LF may follow. */
  #afterCr = false;
  /** Whether the last line ended with a CR alone, so that the next CR counts as a whole line end too. */
  #loneCr = false;
  /** Whether the last CR ended the block; an LF that follows is its last byte. */
  #endsWithCr = false;

  /** `limitBytes` is the longest accepted block. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /**
   * Returns copies of the blocks that end in this chunk; undefined if a block is longer than the limit. After that, every
   * call returns undefined.
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
    // This LF completes a CRLF. If the block was cut at the CR, the LF is dropped.
    if (this.#endsWithCr || !this.#hasField) this.#cut(at + 1);
  }

  #carriageReturn(at: number): void {
    this.#afterCr = true;
    // In a stream whose lines end with CR alone, waiting for an LF would hold the event back.
    if (this.#hasField && this.#lineIsEmpty && !this.#loneCr) this.#endsWithCr = true;
    else this.#endLine(at + 1);
  }

  /** The byte after the CR is not an LF. */
  #wasLoneCr(at: number): void {
    this.#afterCr = false;
    this.#loneCr = true;
    if (this.#endsWithCr) this.#cut(at);
  }

  /** Ends a line: an empty line ends the block, and a comment line in front of a block is dropped. */
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
    // Not from Node's pool, of which one kept event would hold 8 KiB.
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
