import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Exchange } from "../../../src/exchange/exchange.ts";
import type { LiveStream } from "../../../src/exchange/live-stream.ts";
import { drainStreams, spreadTimes } from "../../../src/gateway/drain.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Played extends LiveStream {
  readonly endedAt: number[];
  readonly retries: (number | undefined)[];
  isAborted: boolean;
}

/** A stream that ends when it is told to, or one that never comes to a border. */
function play(open: Set<LiveStream>, { findsBoundary = true, reconnects = true } = {}): Played {
  const stream: Played = {
    exchange: {} as Exchange,
    reconnects,
    pendingBytes: 0,
    endedAt: [],
    retries: [],
    isAborted: false,
    endAtBoundary(_reason, retryMs) {
      stream.endedAt.push(Date.now());
      stream.retries.push(retryMs);
      if (findsBoundary) open.delete(stream);
    },
    abort() {
      stream.isAborted = true;
      open.delete(stream);
    },
  };
  open.add(stream);
  return stream;
}

test("one moment in each equal part of the time", () => {
  const times = spreadTimes(1000, 10_000);
  expect(times.every((ms, at) => ms >= at * 10 && ms <= (at + 1) * 10)).toBe(true);
  expect(spreadTimes(0, 10_000)).toEqual([]);
});

test("ends are spread over four fifths of the time, and not in the order in which streams came", () => {
  const open = new Set<LiveStream>();
  const streams = Array.from({ length: 500 }, () => play(open));
  const start = Date.now();
  drainStreams(() => open, { timeout: 10_000, retry: 3000 });
  const perSecond: number[] = [];
  for (let second = 1; second <= 8; second++) {
    const before = open.size;
    vi.advanceTimersByTime(1000);
    perSecond.push(before - open.size);
  }
  expect(open.size).toBe(0);
  for (const ends of perSecond) expect(Math.abs(ends - 62.5)).toBeLessThan(3);
  const ended = streams.map(({ endedAt }) => (endedAt[0] ?? 0) - start);
  expect(ended).not.toEqual(ended.toSorted((a, b) => a - b));
  expect(streams.every(({ retries }) => retries.length === 1 && retries[0] === 3000)).toBe(true);
  expect(streams.some(({ isAborted }) => isAborted)).toBe(false);
});

test("a stream that was opened meanwhile ends too, and a stream without an event boundary is aborted", () => {
  const open = new Set<LiveStream>();
  const stuck = play(open, { findsBoundary: false });
  let isOver = false;
  drainStreams(
    () => open,
    { timeout: 10_000, retry: undefined },
    () => {
      isOver = true;
    },
  );
  vi.advanceTimersByTime(7_900);
  const late = play(open);
  vi.advanceTimersByTime(200);
  expect({ late: late.endedAt.length, isAborted: stuck.isAborted, isOver }).toEqual({
    late: 1,
    isAborted: false,
    isOver: false,
  });
  vi.advanceTimersByTime(2_000);
  expect({ isAborted: stuck.isAborted, isOver, open: open.size }).toEqual({
    isAborted: true,
    isOver: true,
    open: 0,
  });
});

test("the stream of a client that does not reconnect goes on until the timeout, and is then aborted", () => {
  const open = new Set<LiveStream>();
  const stays = play(open, { reconnects: false });
  const finishes = play(open, { reconnects: false });
  drainStreams(() => open, { timeout: 10_000, retry: 3000 });
  vi.advanceTimersByTime(9_900);
  open.delete(finishes);
  expect({ ends: stays.endedAt.length, isAborted: stays.isAborted }).toEqual({ ends: 0, isAborted: false });
  vi.advanceTimersByTime(200);
  expect({ ends: stays.endedAt.length, isAborted: stays.isAborted }).toEqual({ ends: 0, isAborted: true });
  expect(finishes.isAborted).toBe(false);
});

test("called off, it ends nothing more", () => {
  const open = new Set<LiveStream>();
  for (let count = 0; count < 10; count++) play(open);
  const cancel = drainStreams(() => open, { timeout: 10_000, retry: 3000 });
  cancel();
  vi.advanceTimersByTime(20_000);
  expect(open.size).toBe(10);
});
