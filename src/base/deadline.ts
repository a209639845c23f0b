/**
 * A deadline that is set and lifted again and again, and hardly ever passes.
 *
 * A timer for each use would cost its creation, its insertion into a list and its removal. Here one timer stays, and
 * checks when it fires whether the deadline has passed.
 */
export class Deadline {
  readonly #onLate: () => void;
  /** The deadline by `performance.now()` in whole ms; 0 while none is set. */
  #at = 0;
  #firesAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(onLate: () => void) {
    this.#onLate = onLate;
  }

  /** Sets the deadline to `ms` from now, in place of an earlier one. */
  set(ms: number): void {
    const now = Math.ceil(performance.now());
    this.#at = now + ms;
    if (this.#timer === undefined || this.#firesAt > this.#at) this.#arm(now);
  }

  /** Lifts the deadline; the timer stays for the next one. */
  lift(): void {
    this.#at = 0;
  }

  /** Lifts the deadline and stops the timer. */
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

  /** Waits a turn: a process that stood still has not read yet what arrived meanwhile, see DueTimer. */
  #lateUnlessLifted(at: number): void {
    setImmediate(() => {
      if (this.#at !== at) return;
      this.#at = 0;
      this.#onLate();
    });
  }
}
