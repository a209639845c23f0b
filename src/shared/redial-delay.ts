import type { RedialConfig } from "../config/shared-schema.ts";

/** The largest share of a Retry-After that is added to it at random, so that not all streams redial together. */
const RETRY_AFTER_JITTER = 0.1;

/** Returns the longest wait that a configuration allows, in ms. */
export const longestDelay = ({ max, maxRetryAfter }: RedialConfig): number =>
  Math.max(max, maxRetryAfter * (1 + RETRY_AFTER_JITTER));

/** More doublings would overflow. */
const MAX_DOUBLINGS = 30;

/**
 * The waits before a backend is asked again. They are drawn at random, so that the streams that a backend's restart has
 * ended do not all redial at the same moment.
 */
export class RedialDelay {
  readonly #config: RedialConfig;
  #failures = 0;

  constructor(config: RedialConfig) {
    this.#config = config;
  }

  /** The backend has sent an event: earlier failures no longer count. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * Returns the next wait, in ms. `retryMs` is the stream's own reconnection time. `retryAfterMs` is the Retry-After of a
   * refusal: within the bounds, the wait is never shorter.
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
