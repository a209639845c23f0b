/** A step that comes late counts as one, however late it is. */
const STEPS = 4;

/**
 * Calls back when `ms` went by in which this process could have read an answer; returns what stops it.
 *
 * A plain timer is due the moment a process goes on that was stopped, or busy, for longer than its delay, and
 * fires before the answers are read that wait in its sockets. A leader would take its store for slow just when
 * it has to learn that it leads no more.
 */
export function startPatientTimer(ms: number, onLate: () => void): () => void {
  let timer: NodeJS.Timeout;
  const step = (left: number): void => {
    timer = setTimeout(() => (left > 1 ? step(left - 1) : onLate()), ms / STEPS);
  };
  step(STEPS);
  return () => clearTimeout(timer);
}
