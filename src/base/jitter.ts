/** A delay drawn from 80-100 % of `ms`, so that what began together does not end together. */
export function jitter(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random());
}
