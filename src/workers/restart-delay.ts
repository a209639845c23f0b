const FIRST_MS = 100;
const MAX_MS = 30_000;

/** A worker that ends sooner is assumed to have failed at its start. */
const YOUNG_MS = 10_000;

/**
 * Computes the wait before a worker is replaced. It doubles with each worker that ends young, and is drawn from the
 * upper half of the result, so that workers that end from one cause do not all restart at once.
 */
export class RestartDelay {
  #youngDeaths = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Returns the wait in ms after a worker that lived for `livedMs`. */
  next(livedMs: number): number {
    this.#youngDeaths = livedMs < YOUNG_MS ? this.#youngDeaths + 1 : 0;
    const most = Math.min(MAX_MS, FIRST_MS * 2 ** Math.max(0, this.#youngDeaths - 1));
    return Math.round(most * (0.5 + this.#random() / 2));
  }
}
