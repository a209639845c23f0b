import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PassiveHealth } from "../../../src/upstream/passive-health.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("maxFails failures within failTimeout take it out for failTimeout", () => {
  const health = new PassiveHealth({ maxFails: 3, failTimeout: 10_000 });
  expect([health.failed(), health.failed()]).toEqual([false, false]);
  expect(health.isAvailable).toBe(true);
  expect(health.failed()).toBe(true);
  expect(health.isAvailable).toBe(false);
  vi.advanceTimersByTime(9_999);
  expect(health.isAvailable).toBe(false);
  vi.advanceTimersByTime(1);
  expect(health.isAvailable).toBe(true);
});

test("failures further apart than failTimeout do not add up", () => {
  const health = new PassiveHealth({ maxFails: 2, failTimeout: 1_000 });
  for (let n = 0; n < 5; n++) {
    expect(health.failed()).toBe(false);
    vi.advanceTimersByTime(1_001);
  }
  expect(health.failed()).toBe(false);
  vi.advanceTimersByTime(999);
  expect(health.failed()).toBe(true);
});

test("after failTimeout one request tries it, and the others wait for its answer", () => {
  const health = new PassiveHealth({ maxFails: 1, failTimeout: 1_000 });
  health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  expect(health.isAvailable).toBe(false);
  expect(health.succeeded()).toBe(true);
  expect(health.isAvailable).toBe(true);
  expect(health.succeeded()).toBe(false);
});

test("a trial that fails puts the next one off, and is no news", () => {
  const health = new PassiveHealth({ maxFails: 1, failTimeout: 1_000 });
  expect(health.failed()).toBe(true);
  vi.advanceTimersByTime(1_000);
  health.begin();
  vi.advanceTimersByTime(500);
  expect(health.failed()).toBe(false);
  vi.advanceTimersByTime(999);
  expect(health.isAvailable).toBe(false);
  vi.advanceTimersByTime(1);
  expect(health.isAvailable).toBe(true);
});

test("a trial without an outcome, because its client left, is followed by another", () => {
  const health = new PassiveHealth({ maxFails: 1, failTimeout: 1_000 });
  health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  vi.advanceTimersByTime(1_000);
  expect(health.isAvailable).toBe(true);
});

test("a trial with maxFails above one: one failure suffices to stay out", () => {
  const health = new PassiveHealth({ maxFails: 3, failTimeout: 1_000 });
  for (let n = 0; n < 3; n++) health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  vi.advanceTimersByTime(900);
  health.failed();
  vi.advanceTimersByTime(200);
  expect(health.isAvailable).toBe(false);
});

test("once back, the old failures are forgotten", () => {
  const health = new PassiveHealth({ maxFails: 2, failTimeout: 1_000 });
  health.failed();
  health.failed();
  health.letTry();
  health.begin();
  health.succeeded();
  expect(health.failed()).toBe(false);
  expect(health.isAvailable).toBe(true);
});

test("maxFails 0 never takes it out", () => {
  const health = new PassiveHealth({ maxFails: 0, failTimeout: 1_000 });
  for (let n = 0; n < 50; n++) expect(health.failed()).toBe(false);
  expect(health.isAvailable).toBe(true);
});
