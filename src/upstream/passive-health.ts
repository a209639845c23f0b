/** The failures that take a backend out, and for how long. */
export interface PassiveHealthConfig {
  readonly maxFails: number;
  /** Milliseconds. */
  readonly failTimeout: number;
}

/**
 * The health of a backend as requests show it: `maxFails` failures within `failTimeout` take it out for `failTimeout`.
 *
 * Then one request tries it, and the others follow only after a response to that one: a backend that is still down
 * costs one attempt in each `failTimeout`, not one for every request that waits.
 */
export class PassiveHealth {
  readonly #config: PassiveHealthConfig;
  /** The times of the last failures, at most `maxFails` of them. */
  #failures: number[] = [];
  #isOut = false;
  /** The time from which one request may try a backend that is out. */
  #trialAt = 0;

  constructor(config: PassiveHealthConfig) {
    this.#config = config;
  }

  /** Whether the backend may get a request, if only as a trial. */
  get isAvailable(): boolean {
    return !this.#isOut || performance.now() >= this.#trialAt;
  }

  /** Notes that a request is sent; if it is a trial, the next one may follow after `failTimeout`. */
  begin(): void {
    if (this.#isOut) this.#postponeTrial(performance.now());
  }

  /** Notes a response; returns whether it brings the backend back. */
  succeeded(): boolean {
    if (!this.#isOut) return false;
    this.#isOut = false;
    this.#failures = [];
    return true;
  }

  /** Notes a failure; returns whether it takes the backend out. */
  failed(): boolean {
    const { maxFails, failTimeout } = this.#config;
    if (maxFails === 0) return false;
    const now = performance.now();
    if (this.#isOut) {
      this.#postponeTrial(now);
      return false;
    }
    this.#failures.push(now);
    if (this.#failures.length > maxFails) this.#failures.shift();
    const [first = now] = this.#failures;
    if (this.#failures.length < maxFails || now - first > failTimeout) return false;
    this.#isOut = true;
    this.#postponeTrial(now);
    return true;
  }

  /** Lets the next request try the backend at once. */
  letTry(): void {
    this.#trialAt = 0;
  }

  #postponeTrial(now: number): void {
    this.#trialAt = now + this.#config.failTimeout;
  }
}
