/** Each step counts as one, however late it fires. */
const STEPS = 4;

/**
 * Calls back after `ms` in which this process could have read a reply; returns a function that cancels the timer.
 *
 * When a process was stopped or busy for longer than a timer's delay, a plain timer fires as soon as the process goes
 * on, before it reads the replies waiting in its sockets. A leader would then take its store for slow, just when it
 * has to learn that it no longer leads.
 */
export function startPatientTimer(ms: number, onLate: () => void): () => void {
  let timer: NodeJS.Timeout;
  const step = (left: number): void => {
    timer = setTimeout(() => (left > 1 ? step(left - 1) : onLate()), ms / STEPS);
  };
  step(STEPS);
  return () => clearTimeout(timer);
}
