/** The time in which what was taken back counts together. */
const WINDOW_MS = 10_000;

/** A stream older than this was wanted for a while: its end is no attack. */
const YOUNG_MS = 1_000;

/**
 * Counts the requests that the client of one connection takes back as soon as it has sent them ("rapid reset",
 * CVE-2023-44487), and those whose resetting it provokes: each costs it nothing and us a request to a backend. The error
 * code says nothing: a client may choose any, NO_ERROR too.
 */
export class Http2Resets {
  readonly #max: number;
  #count = 0;
  #since = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes the end of a stream that came at `openedAt`; true when that was one too many. */
  isTooMany(openedAt: number, now: number): boolean {
    if (now - openedAt > YOUNG_MS) return false;
    if (now - this.#since > WINDOW_MS) {
      this.#since = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count >= this.#max;
  }
}
