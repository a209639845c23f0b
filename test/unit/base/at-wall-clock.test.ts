import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { atWallClock } from "../../../src/base/at-wall-clock.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("calls back at the time, however far away, and not before", () => {
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

test("follows a clock that is set: forward within a minute, back for as long as it takes", () => {
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

test("a time that is past calls back in the next turn, and calling it off stands", () => {
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
