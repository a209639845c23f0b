import { guarded } from "../base/guard.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** The shortest timeout, in ms. */
const MIN_TIMEOUT_MS = 1_000;

/** Node fires a timer with a longer time at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Bounds how long the clients of a channel wait for the first response of the backend. It matters if another instance
 * asks the backend: this one has no dial of its own that could time out.
 */
export class ConnectingTimeout {
  readonly #ms: number;
  readonly #onTimeout: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(upstream: Upstream | undefined, onTimeout: () => void, onFault: (error: unknown) => void) {
    this.#ms = timeoutMs(upstream);
    this.#onTimeout = guarded(onFault, () => {
      this.#timer = undefined;
      onTimeout();
    });
  }

  /** Starts the timer unless it runs. */
  start(): void {
    this.#timer ??= setTimeout(this.#onTimeout, this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Returns the longest time that an instance may take to get a response head, retries included. */
function timeoutMs(upstream: Upstream | undefined): number {
  if (upstream === undefined) return MIN_TIMEOUT_MS;
  const { connectTimeout, responseHeaderTimeout } = upstream.timeouts;
  const longest = (upstream.retries + 2) * (connectTimeout + responseHeaderTimeout);
  return Math.min(MAX_TIMER_MS, Math.max(MIN_TIMEOUT_MS, longest));
}
