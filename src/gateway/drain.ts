import type { LiveStream } from "../exchange/live-stream.ts";

/** The part of the time over which ends are spread; the rest is for streams to come to a border. */
const SPREAD = 0.8;

export interface DrainTimes {
  /** Until every stream has ended, in ms. */
  readonly timeout: number;
  /** What clients are told to wait before they come back, in ms; undefined: nothing. */
  readonly retry: number | undefined;
}

/**
 * Ends streams one after the other in no order, evenly over the time, each between two of its events; ends of
 * all at once would bring all clients back at once. One that finds no border in time is broken off.
 *
 * `streams` is asked again near the end, for what was opened meanwhile. The returned function calls it off.
 */
export function drainStreams(
  streams: () => Iterable<LiveStream>,
  { timeout, retry }: DrainTimes,
  onTimeout: () => void = () => {},
): () => void {
  const end = (stream: LiveStream) => stream.endAtBoundary("drained", retry);
  const window = timeout * SPREAD;
  const planned = shuffled([...streams()]);
  const timers = new Set<NodeJS.Timeout>();
  const after = (ms: number, callback: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      callback();
    }, ms);
    timers.add(timer);
  };
  spreadTimes(planned.length, window).forEach((ms, at) => {
    const stream = planned[at];
    if (stream !== undefined) after(ms, () => end(stream));
  });
  after(window, () => {
    for (const stream of [...streams()]) end(stream);
  });
  after(timeout, () => {
    for (const stream of [...streams()]) stream.abort("drained");
    onTimeout();
  });
  return () => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  };
}

/** One moment in each of `count` equal parts of a time: spread evenly, and yet without a beat. */
export function spreadTimes(count: number, windowMs: number): number[] {
  return Array.from({ length: count }, (_, at) => ((at + Math.random()) / count) * windowMs);
}

/** In no order: clients that came together shall not come back together. */
function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
