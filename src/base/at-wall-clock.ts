import { MAX_DURATION_MS } from "./units.ts";

/** The longest sleep: a clock that is set while a timer runs is noticed no later than this. */
const MAX_SLEEP_MS = Math.min(60_000, MAX_DURATION_MS);

/**
 * Calls back once the clock on the wall shows `at`, in ms since the epoch; at once, but not before this returns,
 * if it does already. Returns what calls it off.
 *
 * Credentials expire by that clock, while timers count by another one, which neither a correction of the time
 * nor a suspended machine moves.
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
