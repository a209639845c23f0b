/** How many failures in which time take a backend out, and for how long. */
export interface PassiveHealthConfig {
  readonly maxFails: number;
  /** Milliseconds. */
  readonly failTimeout: number;
}

/**
 * What requests tell about a backend: `maxFails` failures within `failTimeout` take it out for `failTimeout`.
 *
 * Then one request tries it. Only when that one is answered do the others follow: a backend that is still
 * down costs one attempt in each `failTimeout`, not one for every request that waits.
 */
export class PassiveHealth {
  readonly #config: PassiveHealthConfig;
  /** When the last failures were, at most `maxFails` of them. */
  #failures: number[] = [];
  #isOut = false;
  #trialAt = 0;

  constructor(config: PassiveHealthConfig) {
    this.#config = config;
  }

  /** Whether a request may be sent, to serve it or to try the backend. */
  get isAvailable(): boolean {
    return !this.#isOut || performance.now() >= this.#trialAt;
  }

  /** Notes that a request is sent; if it is a trial, the next one is `failTimeout` away. */
  begin(): void {
    if (this.#isOut) this.#trialAt = performance.now() + this.#config.failTimeout;
  }

  /** Notes an answer; returns whether it brings the backend back. */
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
      this.#trialAt = now + failTimeout;
      return false;
    }
    this.#failures.push(now);
    if (this.#failures.length > maxFails) this.#failures.shift();
    const [first = now] = this.#failures;
    if (this.#failures.length < maxFails || now - first > failTimeout) return false;
    this.#isOut = true;
    this.#trialAt = now + failTimeout;
    return true;
  }

  /** Lets the next request try the backend at once. */
  letTry(): void {
    this.#trialAt = 0;
  }
}
