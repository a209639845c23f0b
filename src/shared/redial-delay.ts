import type { RedialConfig } from "../config/shared-schema.ts";

/** What is added to a Retry-After at most, as a share of it, so that not all come back together. */
const RETRY_AFTER_JITTER = 0.1;

/** The longest wait that a configuration leads to, in ms. */
export const longestDelay = ({ max, maxRetryAfter }: RedialConfig): number =>
  Math.max(max, maxRetryAfter * (1 + RETRY_AFTER_JITTER));

/** Doubling further would only overflow. */
const MAX_DOUBLINGS = 30;

/**
 * How long to wait before a backend is asked again, drawn, so that the streams that a backend's restart has
 * ended do not all come back in the same moment.
 */
export class RedialDelay {
  readonly #config: RedialConfig;
  #failures = 0;

  constructor(config: RedialConfig) {
    this.#config = config;
  }

  /** The backend has sent an event: what went wrong before no longer counts. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * The next wait in ms. `retryMs` is the reconnection time that the stream has set, `retryAfterMs` what a
   * refusal asked for: never less than that, but for the bounds.
   */
  next(retryMs: number | undefined, retryAfterMs?: number): number {
    const { min, max, maxRetryAfter } = this.#config;
    const base = Math.min(max, Math.max(min, retryMs ?? min));
    const grown = Math.min(max, base * 2 ** Math.min(this.#failures, MAX_DOUBLINGS));
    this.#failures += 1;
    const drawn = grown * (0.5 + 0.5 * Math.random());
    if (retryAfterMs === undefined) return drawn;
    const asked = Math.min(retryAfterMs, maxRetryAfter);
    return Math.max(drawn, asked * (1 + RETRY_AFTER_JITTER * Math.random()));
  }
}
