const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const NOTHING = Buffer.alloc(0);

/**
 * Removes a byte order mark from the start of a stream, whatever its chunks are.
 *
 * A decoder drops the mark only as the very first bytes. Behind a comment line of sluice the mark would be part of the
 * first field's name, and the first event would be lost.
 */
export class ByteOrderMark {
  #matched = 0;
  /** Whether the start has been checked: further chunks are returned unchanged. */
  isOver = false;

  /** Returns the chunk without the mark; bytes that may belong to a mark are held until the next chunk. */
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

  /** Returns the held bytes; to be called when the stream ends. */
  rest(): Buffer {
    return this.isOver ? NOTHING : MARK.subarray(0, this.#matched);
  }
}
