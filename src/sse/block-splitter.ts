import { Boundary } from "./boundary.ts";
import { ByteOrderMark } from "./byte-order-mark.ts";

/**
 * Cuts an event stream into its event blocks, however its chunks are cut.
 *
 * Comment lines between blocks are dropped: they are one hop's signs of life. Bytes of a block are not changed.
 * What has not come whole when the stream ends was never an event (WHATWG HTML, section 9.2.6).
 */
export class BlockSplitter {
  readonly #boundary = new Boundary();
  readonly #mark = new ByteOrderMark();
  readonly #limit: number;
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** `limitBytes` is the longest block that is taken. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /**
   * The blocks that end in this chunk, in bytes of their own; undefined when one is longer than the limit,
   * which is final.
   */
  feed(received: Buffer): Buffer[] | undefined {
    const chunk = this.#mark.strip(received);
    const blocks: Buffer[] = [];
    for (let from = 0; from < chunk.length; ) {
      const events = this.#boundary.events;
      const part = chunk.subarray(from);
      const length = this.#boundary.scan(part, true);
      from += length;
      if (this.#heldBytes + length > this.#limit) return undefined;
      if (this.#boundary.events > events) blocks.push(this.#take(part.subarray(0, length)));
      else if (this.#boundary.atBorder) this.#drop();
      else this.#hold(part.subarray(0, length));
    }
    return blocks;
  }

  #take(last: Buffer): Buffer {
    // Not from Node's pool: one event that is kept would keep 8 KiB of it.
    const block = Buffer.allocUnsafeSlow(this.#heldBytes + last.length);
    let at = 0;
    for (const part of this.#held) at += part.copy(block, at);
    last.copy(block, at);
    this.#drop();
    return block;
  }

  #hold(part: Buffer): void {
    this.#held.push(Buffer.from(part));
    this.#heldBytes += part.length;
  }

  #drop(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }
}
