import type { LiveStream } from "../exchange/live-stream.ts";

/** The part of the time over which ends are spread; in the rest, streams reach their next event boundary. */
const SPREAD = 0.8;

export interface DrainTimes {
  /** The time, in ms, after which every stream has ended. */
  readonly timeout: number;
  /** The reconnection time, in ms, that clients are sent; undefined: no reconnection time. */
  readonly retry: number | undefined;
}

/**
 * Ends streams one after the other in random order, evenly over the time, each between two of its events. If all ended
 * at once, all clients would reconnect at once. A stream that reaches no event boundary in time is aborted.
 *
 * Streams whose clients do not reconnect go on until the timeout, and are then aborted: most responses of language
 * models end before, and an early end would cut them.
 *
 * `streams` is called again near the end, for streams that were opened meanwhile. Returns a function that cancels the
 * drain.
 */
export function drainStreams(
  streams: () => Iterable<LiveStream>,
  { timeout, retry }: DrainTimes,
  onTimeout: () => void = () => {},
): () => void {
  const end = (stream: LiveStream) => stream.endAtBoundary("drained", retry);
  const reconnecting = () => [...streams()].filter(({ reconnects }) => reconnects);
  const window = timeout * SPREAD;
  const planned = shuffled(reconnecting());
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
    for (const stream of reconnecting()) end(stream);
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

/** Returns a random moment, in ms, in each of `count` equal parts of a time: spread evenly, but not in step. */
export function spreadTimes(count: number, windowMs: number): number[] {
  return Array.from({ length: count }, (_, at) => ((at + Math.random()) / count) * windowMs);
}

/** Returns the items in random order: clients that connected together must not reconnect together. */
function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
