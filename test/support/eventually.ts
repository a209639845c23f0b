import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/**
 * How long a test waits for what must come, in milliseconds. No measure of how fast it is: a machine that is short
 * of time takes many times as long. Below 10 s, so that none of the gateway's own defaults of 10 s and more (health
 * checks, openings, heartbeats) brings about what something else should have.
 */
export const PATIENCE_MS = 9_000;

/** What "at once" may take on a busy machine, which may stand still for a second: below any default of the gateway's. */
export const SOON_MS = 4_000;

/**
 * Polls until `probe` returns something truthy without throwing, and returns it.
 *
 * Tests wait for outcomes with this and never sleep: a sleep is either too short on a busy machine or
 * too long on every other one.
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
