import { MAX_DURATION_MS } from "./units.ts";

/** The longest sleep, in ms: if the clock is set while a timer runs, that is noticed within this time. */
const MAX_SLEEP_MS = Math.min(60_000, MAX_DURATION_MS);

/**
 * Calls back once when the wall clock shows `at`, in ms since the epoch; if it does already, in a later turn of the
 * event loop. Returns a function that cancels the timer.
 *
 * Credentials expire by the wall clock. Timers count by another clock, which neither a correction of the time nor the
 * suspension of the machine moves.
 */
export function atWallClock(at: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const sleep = (): void => {
    const left = at - Date.now();
    timer = setTimeout(left > 0 ? sleep : callback, Math.max(0, Math.min(left, MAX_SLEEP_MS)));
  };
  sleep();
  return () => clearTimeout(timer);
}
