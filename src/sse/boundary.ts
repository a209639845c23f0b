const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;

/**
 * Finds the event boundaries of a stream, whatever its chunks are. It changes no bytes.
 *
 * Lines end with LF, CR or CRLF (WHATWG HTML, "parsing an event stream"); an empty line ends an event block.
 */
export class Boundary {
  /** The number of event blocks that have ended; blocks of comment lines alone do not count. */
  events = 0;

  /** Whether the last byte was a CR, to which the LF of a later chunk may belong. */
  #isAfterCr = false;
  /** Whether the current line has no bytes yet. */
  #lineIsEmpty = true;
  /** Whether the last line end was a CR alone, so that the next CR counts as a whole line end too. */
  #loneCr = false;
  /** Whether no field line has come since the last block ended. */
  #blockIsEmpty = true;
  #isAtBoundary = true;

  /**
   * Whether the bytes so far end at an event boundary, so that a comment line may follow. Comment lines of the backend
   * leave the stream at the boundary, so sluice's heartbeats are sent between them too.
   *
   * After a CR the boundary is uncertain, because an LF may follow. If the line before ended with a CR alone, this CR
   * counts as a whole line end; otherwise the boundary is reported after the LF.
   */
  get isAtBoundary(): boolean {
    return this.#isAtBoundary;
  }

  /**
   * Scans `bytes` from `start` up to `end`; with `stopAtBoundary` only up to the first boundary.
   *
   * @returns `end`, or the index behind that boundary.
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
    // After a CR the line has ended already; this LF only completes the line end.
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

/** Returns where the line of the byte at `at` ends, or `end`: most bytes need no other check. */
function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  let stop = at + 1;
  while (stop < end && bytes[stop] !== LF && bytes[stop] !== CR) stop++;
  return stop;
}
