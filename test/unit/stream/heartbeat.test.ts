import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Exchange } from "../../../src/exchange/exchange.ts";
import { Heartbeat } from "../../../src/stream/heartbeat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
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

test("a silent stream gets heartbeats repeatedly", () => {
  const { owner, beats } = stream();
  const heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(350);
  expect(beats).toEqual([100, 200, 300]);
  heartbeat.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("a heartbeat comes one interval after the last traffic, and never before", () => {
  const { owner, beats } = stream();
  const heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(90);
  owner.trafficAt = performance.now();
  vi.advanceTimersByTime(60);
  owner.trafficAt = performance.now();
  vi.advanceTimersByTime(99);
  expect(beats).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(beats).toEqual([250]);
  heartbeat.stop();
});

test("a busy stream sets one timer per heartbeat interval", () => {
  // No spy: a spy on a fake timer brings it back after the real ones.
  const fake = globalThis.setTimeout;
  let armed = 0;
  const counting = (callback: () => void, ms: number) => {
    armed++;
    return fake(callback, ms);
  };
  globalThis.setTimeout = Object.assign(counting, fake);
  const { owner, beats } = stream();
  const heartbeat = new Heartbeat(100, owner);
  for (let ms = 0; ms < 1_000; ms += 1) {
    vi.advanceTimersByTime(1);
    owner.trafficAt = performance.now();
  }
  expect(beats).toEqual([]);
  expect(armed).toBeGreaterThan(0);
  expect(armed).toBeLessThanOrEqual(11);
  heartbeat.stop();
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
  vi.advanceTimersByTime(1);
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
