import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Exchange } from "../../../src/exchange/exchange.ts";
import { Heartbeat } from "../../../src/stream/heartbeat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
afterEach(() => void vi.useRealTimers());

const exchangeWith = (warnings: unknown[][], idleTimeout: number | undefined): Exchange => {
  const route = { config: { name: "chat", stream: { idleTimeout } } };
  const log = { warn: (...line: unknown[]) => warnings.push(line) };
  return { id: "1", backend: "http://a", route, log } as unknown as Exchange;
};

/** A stream that is silent from now on, and records the times of its heartbeats. */
function stream(idleTimeout?: number) {
  const begunAt = performance.now();
  const beats: number[] = [];
  const warnings: unknown[][] = [];
  const owner = {
    exchange: exchangeWith(warnings, idleTimeout),
    trafficAt: begunAt,
    fault() {},
    beat: () => beats.push(Math.round(performance.now() - begunAt)),
  };
  return { owner, beats, warnings };
}

/** The longest time, in ms, by which a heartbeat with an interval of 100 ms may be early. */
const EARLY_MS = 2;

test("a silent stream gets heartbeats repeatedly, a little early and never late", () => {
  const { owner, beats } = stream();
  const heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(350);
  expect(beats).toHaveLength(3);
  for (const [n, at] of beats.entries()) {
    const latest = (beats[n - 1] ?? 0) + 100;
    expect(at).toBeGreaterThanOrEqual(latest - EARLY_MS);
    expect(at).toBeLessThanOrEqual(latest);
  }
  heartbeat.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a heartbeat comes one interval after the last traffic", () => {
  const { owner, beats } = stream();
  const heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(90);
  owner.trafficAt = performance.now();
  vi.advanceTimersByTime(60);
  owner.trafficAt = performance.now();
  vi.advanceTimersByTime(99 - EARLY_MS);
  expect(beats).toEqual([]);
  vi.advanceTimersByTime(1 + EARLY_MS);
  expect(beats).toHaveLength(1);
  heartbeat.stop();
});

test("streams with the same interval share one timer, which ends with the last of them", () => {
  const streams = Array.from({ length: 50 }, () => stream());
  const heartbeats = streams.map(({ owner }) => new Heartbeat(100, owner));
  const other = new Heartbeat(200, stream().owner);
  expect(vi.getTimerCount()).toBe(2);
  vi.advanceTimersByTime(100);
  for (const { beats } of streams) expect(beats).toHaveLength(1);
  for (const heartbeat of heartbeats) heartbeat.stop();
  expect(vi.getTimerCount()).toBe(1);
  other.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a busy stream gets no heartbeat, and a fault in one stream keeps none from the others", () => {
  const busy = stream();
  const broken = stream();
  const silent = stream();
  const faults: unknown[] = [];
  broken.owner.fault = (error?: unknown) => void faults.push(error);
  broken.owner.beat = () => {
    throw new Error("broken");
  };
  const heartbeats = [busy, broken, silent].map(({ owner }) => new Heartbeat(100, owner));
  for (let ms = 0; ms < 100; ms++) {
    vi.advanceTimersByTime(1);
    busy.owner.trafficAt = performance.now();
  }
  expect(busy.beats).toEqual([]);
  expect(silent.beats).toHaveLength(1);
  expect(faults).toEqual([new Error("broken")]);
  for (const heartbeat of heartbeats) heartbeat.stop();
});

test("stopping a heartbeat twice leaves later ones on one timer", () => {
  const first = new Heartbeat(100, stream().owner);
  first.stop();
  const second = new Heartbeat(100, stream().owner);
  first.stop();
  const third = new Heartbeat(100, stream().owner);
  expect(vi.getTimerCount()).toBe(1);
  second.stop();
  third.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a heartbeat that ends its stream is the last one", () => {
  const owner = {
    exchange: exchangeWith([], undefined),
    trafficAt: performance.now(),
    fault() {},
    beat: vi.fn(() => heartbeat.stop()),
  };
  const heartbeat: Heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(1_000);
  expect(owner.beat).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("after ten minutes of heartbeats the log names the key that bounds the silence, once", () => {
  const { owner, warnings } = stream();
  const heartbeat = new Heartbeat(15_000, owner);
  vi.advanceTimersByTime(599_999);
  expect(warnings).toEqual([]);
  vi.advanceTimersByTime(15_000);
  const facts = { reqId: "1", route: "chat", backend: "http://a" };
  expect(warnings).toEqual([[facts, expect.stringContaining("stream.idleTimeout")]]);
  vi.advanceTimersByTime(3_600_000);
  expect(warnings).toHaveLength(1);
  heartbeat.stop();
});

test("a stream with an event every nine minutes, or with stream.idleTimeout, gets no hint", () => {
  const slow = stream();
  const bounded = stream(3_600_000);
  const heartbeats = [slow, bounded].map(({ owner }) => new Heartbeat(15_000, owner));
  for (let n = 0; n < 10; n++) {
    vi.advanceTimersByTime(540_000);
    slow.owner.trafficAt = performance.now();
  }
  expect([...slow.warnings, ...bounded.warnings]).toEqual([]);
  for (const heartbeat of heartbeats) heartbeat.stop();
});
