import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Heartbeat } from "../../../src/stream/heartbeat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** A stream that is silent from now on, and records the times of its heartbeats. */
function stream() {
  const begunAt = performance.now();
  const beats: number[] = [];
  const owner = {
    trafficAt: begunAt,
    fault() {},
    beat: () => beats.push(Math.round(performance.now() - begunAt)),
  };
  return { owner, beats };
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
    trafficAt: performance.now(),
    fault() {},
    beat: vi.fn(() => heartbeat.stop()),
  };
  const heartbeat: Heartbeat = new Heartbeat(100, owner);
  vi.advanceTimersByTime(1_000);
  expect(owner.beat).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
