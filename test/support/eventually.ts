import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/**
 * The longest wait of a test for an expected outcome, in milliseconds. It does not measure speed, because a busy
 * machine takes many times as long. Below 10 s, so that no default of the gateway of 10 s or more (health checks,
 * openings, heartbeats) can cause the outcome instead.
 */
export const PATIENCE_MS = 9_000;

/** The longest time for "at once" on a machine that may stall for a second: below any default of the gateway. */
export const SOON_MS = 4_000;

/**
 * Polls until `probe` returns a truthy value without throwing, and returns that value.
 *
 * Tests wait with this function and never sleep: a sleep is too short on a busy machine or too long on any other.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  what = "the expected outcome",
  { timeoutMs = PATIENCE_MS, everyMs = 5 } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let failure: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`${what} did not come within ${timeoutMs} ms`, { cause: failure });
    }
    await delay(everyMs);
  }
}
