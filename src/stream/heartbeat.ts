/**
 * Calls `beat` whenever nothing has come for `ms`. `lastAt` says when something did last, by `performance.now()`.
 *
 * A beat is put off here, when it would be due, and not as something comes: to move a timer is to look at those of
 * three other streams.
 */
export class Heartbeat {
  readonly #ms: number;
  readonly #lastAt: () => number;
  readonly #beat: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, lastAt: () => number, beat: () => void) {
    this.#ms = ms;
    this.#lastAt = lastAt;
    this.#beat = beat;
    this.#beatIn(ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #beatIn(ms: number): void {
    this.#timer = setTimeout(() => this.#onTime(), ms);
  }

  #onTime(): void {
    const left = Math.floor(this.#ms - (performance.now() - this.#lastAt()));
    if (left <= 0) this.#beat();
    // A beat may have been the end of its stream.
    if (this.#timer !== undefined) this.#beatIn(left <= 0 ? this.#ms : left);
  }
}
