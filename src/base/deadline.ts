/**
 * How long something may take that is begun again and again, and is hardly ever late.
 *
 * A timer for each time would be made, put into a list and taken out of it. Here one stays where it is, and looks when
 * it fires whether anything is late.
 */
export class Deadline {
  readonly #onLate: () => void;
  /** By `performance.now()` in whole ms; 0 while nothing is waited for. */
  #at = 0;
  #firesAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(onLate: () => void) {
    this.#onLate = onLate;
  }

  /** From now on it may take `ms`. */
  set(ms: number): void {
    const now = Math.ceil(performance.now());
    this.#at = now + ms;
    if (this.#timer === undefined || this.#firesAt > this.#at) this.#arm(now);
  }

  /** Nothing is waited for. */
  lift(): void {
    this.#at = 0;
  }

  /** The same, for the last time. */
  close(): void {
    this.#at = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(now: number): void {
    clearTimeout(this.#timer);
    this.#firesAt = this.#at;
    this.#timer = setTimeout(() => this.#look(), this.#at - now);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#at === 0) return;
    const now = Math.ceil(performance.now());
    if (now < this.#at) this.#arm(now);
    else this.#lateUnlessLifted(this.#at);
  }

  /** A process that stood still has not read yet what came meanwhile: see DueTimer. */
  #lateUnlessLifted(at: number): void {
    setImmediate(() => {
      if (this.#at !== at) return;
      this.#at = 0;
      this.#onLate();
    });
  }
}
