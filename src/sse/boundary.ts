const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;

/**
 * Follows an event stream and knows where its event blocks end, however the chunks are cut.
 *
 * Lines end with LF, CR or CRLF (WHATWG HTML, "parsing an event stream"); an empty line ends a block.
 * It looks at bytes and changes none.
 */
export class Boundary {
  /** Event blocks that ended so far; blocks of comments alone do not count. */
  events = 0;

  /** The byte before was a CR, which may still be joined by the LF of a later chunk. */
  #isAfterCr = false;
  /** Nothing of the current line has come yet. */
  #lineIsEmpty = true;
  /** The line end before this one was a lone CR, so the next CR is taken for one too. */
  #loneCr = false;
  /** No field line since the last block ended. */
  #blockIsEmpty = true;
  #isAtBoundary = true;

  /**
   * Whether the bytes so far end a block, so that a comment line may follow. Comment lines behind a block
   * leave it ended: a backend that sends heartbeats of its own keeps getting ours between them.
   *
   * After a CR this is open, because an LF may still belong to it. Where the line before ended with a lone CR,
   * this one is taken to do likewise; elsewhere the border is reported once the LF has come.
   */
  get isAtBoundary(): boolean {
    return this.#isAtBoundary;
  }

  /**
   * Follows what is in `bytes` from `start` up to `end`. With `stopAtBoundary` it stops behind the first border.
   *
   * @returns where it stopped: at `end`, or behind the end of the first block.
   */
  scan(bytes: Uint8Array, start: number, end: number, stopAtBoundary = false): number {
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte === LF) {
        this.#lineFeed();
      } else if (byte === CR) {
        this.#carriageReturn();
      } else {
        if (this.#lineIsEmpty) this.#lineStart(byte);
        at = lineEnd(bytes, at, end) - 1;
      }
      if (stopAtBoundary && this.#isAtBoundary) return at + 1;
    }
    return end;
  }

  #lineStart(byte: number): void {
    if (this.#isAfterCr) this.#loneCr = true;
    this.#isAfterCr = false;
    this.#lineIsEmpty = false;
    this.#isAtBoundary = false;
    if (byte !== COLON) this.#blockIsEmpty = false;
  }

  #carriageReturn(): void {
    if (this.#isAfterCr) this.#loneCr = true;
    this.#isAfterCr = true;
    this.#endLine();
    this.#isAtBoundary = this.#blockIsEmpty && this.#loneCr;
  }

  #lineFeed(): void {
    this.#loneCr = false;
    // Behind a CR the line has ended already; this LF only completes its end.
    if (!this.#isAfterCr) this.#endLine();
    this.#isAfterCr = false;
    this.#isAtBoundary = this.#blockIsEmpty;
  }

  #endLine(): void {
    if (this.#lineIsEmpty && !this.#blockIsEmpty) {
      this.events++;
      this.#blockIsEmpty = true;
    }
    this.#lineIsEmpty = true;
  }
}

/** Where the line stops that goes on at `at`, or the bytes do: of most of them nothing else is to be known. */
function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  let stop = at + 1;
  while (stop < end && bytes[stop] !== LF && bytes[stop] !== CR) stop++;
  return stop;
}
