/** The window, in ms, in which resets are counted. */
const WINDOW_MS = 10_000;

/** A stream older than this, in ms, does not count: its request was meant, and its end is no attack. */
const YOUNG_MS = 1_000;

/**
 * Counts the requests that the client of one connection resets right after sending them ("rapid reset",
 * CVE-2023-44487), or makes the server reset: each costs the client nothing and sluice a backend request. Any error code
 * counts, because the client chooses it.
 */
export class Http2Resets {
  readonly #max: number;
  #count = 0;
  /** The start of the window. With 0, a window that ended 10 s after the start of the process doubled the bound. */
  #since = Number.NEGATIVE_INFINITY;

  constructor(max: number) {
    this.#max = max;
  }

  /** Notes the end of a stream that was opened at `openedAt`; returns whether the bound is reached. */
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
