const FIRST_MS = 100;
const MAX_MS = 30_000;

/** One that lived for less has died of its start, as far as anybody can tell. */
const YOUNG_MS = 10_000;

/**
 * How long to wait before a worker is replaced: twice as long after each that died young, and drawn from the upper
 * half of that, because workers that one cause kills shall not all come back in one moment.
 */
export class RestartDelay {
  #youngDeaths = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** After one that lived so long. */
  next(livedMs: number): number {
    this.#youngDeaths = livedMs < YOUNG_MS ? this.#youngDeaths + 1 : 0;
    const most = Math.min(MAX_MS, FIRST_MS * 2 ** Math.max(0, this.#youngDeaths - 1));
    return Math.round(most * (0.5 + this.#random() / 2));
  }
}
