/** Returns a random delay of 80-100 % of `ms`: timers that begin together must not end together. */
export function jitter(ms: number): number {
  return ms * (0.8 + 0.2 * Math.random());
}
