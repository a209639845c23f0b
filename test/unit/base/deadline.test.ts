import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadline } from "../../../src/base/deadline.ts";

beforeEach(
  () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setImmediate", "performance"] }),
);
afterEach(() => void vi.useRealTimers());

function create(): { deadline: Deadline; late: number[] } {
  const late: number[] = [];
  return { deadline: new Deadline(() => late.push(performance.now())), late };
}

test("a deadline that is not lifted in time passes once", () => {
  const { deadline, late } = create();
  deadline.set(100);
  vi.advanceTimersByTime(99);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(late).toHaveLength(1);
});

test("a deadline that is lifted or set again does not pass", () => {
  const { deadline, late } = create();
  for (let round = 0; round < 10; round += 1) {
    deadline.set(100);
    vi.advanceTimersByTime(60);
    deadline.lift();
    vi.advanceTimersByTime(30);
  }
  deadline.set(100);
  vi.advanceTimersByTime(60);
  deadline.set(100);
  vi.advanceTimersByTime(60);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(60);
  expect(late).toHaveLength(1);
});

test("a shorter time counts from the call that sets it, whatever was set before", () => {
  const { deadline, late } = create();
  const from = performance.now();
  deadline.set(10_000);
  vi.advanceTimersByTime(50);
  deadline.set(100);
  vi.advanceTimersByTime(20_000);
  expect(late).toHaveLength(1);
  expect((late[0] ?? 0) - from).toBeLessThan(200);
});

test("a lift in the turn in which the time is over counts as in time", () => {
  const { deadline, late } = create();
  deadline.set(100);
  vi.advanceTimersToNextTimer();
  deadline.lift();
  vi.runAllTimers();
  expect(late).toEqual([]);
});

test("a closed deadline leaves no timer", () => {
  const { deadline, late } = create();
  deadline.set(100);
  deadline.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(1_000);
  expect(late).toEqual([]);
});
