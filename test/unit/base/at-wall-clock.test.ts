import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { atWallClock } from "../../../src/base/at-wall-clock.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("it calls back at the given time, however far away, and not earlier", () => {
  const callback = vi.fn();
  const days = 60 * 24 * 3_600_000;
  atWallClock(Date.now() + days, callback);
  vi.advanceTimersByTime(days - 1);
  expect(callback).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(callback).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(days);
  expect(callback).toHaveBeenCalledTimes(1);
});

test("it follows a clock that is set: forward within a minute, back until the clock shows the time again", () => {
  const callback = vi.fn();
  atWallClock(Date.now() + 3_600_000, callback);
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(60_001);
  expect(callback).toHaveBeenCalledTimes(1);

  const later = vi.fn();
  atWallClock(Date.now() + 1_000, later);
  vi.setSystemTime(Date.now() - 3_600_000);
  vi.advanceTimersByTime(60_000);
  expect(later).not.toHaveBeenCalled();
  vi.advanceTimersByTime(3_600_000);
  expect(later).toHaveBeenCalledTimes(1);
});

test("for a time in the past it calls back in the next turn, unless it is cancelled", () => {
  const callback = vi.fn();
  const stop = atWallClock(Date.now() - 1, callback);
  expect(callback).not.toHaveBeenCalled();
  stop();
  vi.advanceTimersByTime(1_000);
  expect(callback).not.toHaveBeenCalled();
  atWallClock(Date.now() - 1, callback);
  vi.advanceTimersByTime(1);
  expect(callback).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
