import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PassiveHealth } from "../../../src/upstream/passive-health.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("maxFails failures within failTimeout take a backend out for failTimeout", () => {
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

test("after failTimeout one request tries the backend, and the others wait for its response", () => {
  const health = new PassiveHealth({ maxFails: 1, failTimeout: 1_000 });
  health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  expect(health.isAvailable).toBe(false);
  expect(health.succeeded()).toBe(true);
  expect(health.isAvailable).toBe(true);
  expect(health.succeeded()).toBe(false);
});

test("a failed trial postpones the next one, and is not reported", () => {
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

test("a trial whose client left has no outcome, and another one follows", () => {
  const health = new PassiveHealth({ maxFails: 1, failTimeout: 1_000 });
  health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  vi.advanceTimersByTime(1_000);
  expect(health.isAvailable).toBe(true);
});

test("with maxFails above one, one failed trial keeps the backend out", () => {
  const health = new PassiveHealth({ maxFails: 3, failTimeout: 1_000 });
  for (let n = 0; n < 3; n++) health.failed();
  vi.advanceTimersByTime(1_000);
  health.begin();
  vi.advanceTimersByTime(900);
  health.failed();
  vi.advanceTimersByTime(200);
  expect(health.isAvailable).toBe(false);
});

test("a backend that is back starts without its old failures", () => {
  const health = new PassiveHealth({ maxFails: 2, failTimeout: 1_000 });
  health.failed();
  health.failed();
  health.letTry();
  health.begin();
  health.succeeded();
  expect(health.failed()).toBe(false);
  expect(health.isAvailable).toBe(true);
});

test("maxFails 0 never takes a backend out", () => {
  const health = new PassiveHealth({ maxFails: 0, failTimeout: 1_000 });
  for (let n = 0; n < 50; n++) expect(health.failed()).toBe(false);
  expect(health.isAvailable).toBe(true);
});
