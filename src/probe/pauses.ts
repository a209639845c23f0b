/** Timer interval, in ms. */
const TICK_MS = 25;
/** A tick that is late by more than this marks a pause, in ms. */
const PAUSE_MS = 30;
/** A read within this time after a pause may have waited during it, in ms. */
const BEHIND_MS = 20;
const MAX_PAUSES = 10_000;

/**
 * Records pauses of this process, for example on a busy machine. Bytes that arrive during a pause are read together;
 * no hop held them back.
 */
export class Pauses {
  readonly #pauses: { readonly from: number; readonly to: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #last = 0;

  start(): void {
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Returns how long a read at `at` may have waited in this process, in ms. */
  before(at: number): number {
    const pause = this.#pauses.findLast(({ from, to }) => from <= at && at <= to + BEHIND_MS);
    return pause === undefined ? 0 : pause.to - pause.from;
  }

  /** Returns the total length of the pauses between two times, in ms. */
  within(from: number, to: number): number {
    return this.#pauses.reduce(
      (sum, pause) => sum + Math.max(0, Math.min(to, pause.to) - Math.max(from, pause.from)),
      0,
    );
  }

  #tick(): void {
    const now = performance.now();
    const isLate = now - this.#last > TICK_MS + PAUSE_MS;
    if (isLate && this.#pauses.length < MAX_PAUSES) this.#pauses.push({ from: this.#last, to: now });
    this.#last = now;
  }
}
