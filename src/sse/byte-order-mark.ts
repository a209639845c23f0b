const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);

/**
 * Takes a byte order mark off the start of a stream, however the chunks are cut.
 *
 * A decoder drops the mark only as the very first bytes. Once a comment line precedes it, it would become
 * part of the first field's name, and the first event would be lost.
 */
export class ByteOrderMark {
  #matched = 0;
  /** What follows is passed on as it is. */
  isOver = false;

  /** The chunk without the mark; bytes that may belong to one are held until that is known. */
  strip(chunk: Buffer): Buffer {
    if (this.isOver) return chunk;
    const held = this.#matched;
    let at = 0;
    while (at < chunk.length && this.#matched < MARK.length && chunk[at] === MARK[this.#matched]) {
      at++;
      this.#matched++;
    }
    if (this.#matched < MARK.length && at === chunk.length) return NOTHING;
    this.isOver = true;
    if (this.#matched === MARK.length) return chunk.subarray(at);
    return held === 0 ? chunk : Buffer.concat([MARK.subarray(0, held), chunk]);
  }

  /** What is still held when the stream ends. */
  rest(): Buffer {
    return this.isOver ? NOTHING : MARK.subarray(0, this.#matched);
  }
}
