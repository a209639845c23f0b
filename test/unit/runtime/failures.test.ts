import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { Exchange } from "../../../src/exchange/exchange.ts";
import { Failures } from "../../../src/runtime/failures.ts";

const MINUTE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000 * MINUTE_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The parts of an exchange that has ended which are counted. */
const ended = (route: string | undefined, status: number, error?: unknown): Exchange =>
  ({ route: route && { config: { name: route } }, account: { status, error } }) as unknown as Exchange;

const limited = () => new ProxyError("rate_limited", "over the rate");

test("requests are counted by route, reason and status; those that succeed are not", () => {
  const failures = new Failures();
  failures.note(ended("chat", 200));
  failures.note(ended("chat", 404));
  failures.note(ended("chat", 429, limited()));
  failures.note(ended("chat", 429, limited()));
  failures.note(ended("prices", 429, limited()));
  failures.note(ended(undefined, 404, new ProxyError("no_route", "none")));
  failures.note(ended("chat", 503));
  failures.note(ended("chat", 500, new TypeError("a defect")));
  const counts = failures.rows().map((row) => `${row.route} ${row.reason} ${row.status} ${row.total}`);
  expect(counts).toEqual([
    "chat rate_limited 429 2",
    "prices rate_limited 429 1",
    " no_route 404 1",
    "chat backend_status 503 1",
    "chat internal_error 500 1",
  ]);
});

test("a refusal that is sent as a stream is counted with its own status", () => {
  const failures = new Failures();
  failures.note(ended("chat", 200, new ProxyError("no_backend", "all are out")));
  expect(failures.rows()).toMatchObject([{ reason: "no_backend", status: 502, total: 1 }]);
});

test("the recent count has the last five minutes, the total all", () => {
  const failures = new Failures();
  const recent = () => failures.rows()[0]?.recent;
  for (let minute = 0; minute < 7; minute++) {
    failures.note(ended("chat", 429, limited()));
    vi.advanceTimersByTime(MINUTE_MS);
  }
  expect(failures.rows()).toMatchObject([{ total: 7, recent: 4, lastAt: Date.now() - MINUTE_MS }]);
  vi.advanceTimersByTime(3 * MINUTE_MS);
  expect(recent()).toBe(1);
  vi.advanceTimersByTime(MINUTE_MS);
  expect(recent()).toBe(0);
  // A clock that is set back must not count for ever.
  vi.setSystemTime(500 * MINUTE_MS);
  failures.note(ended("chat", 429, limited()));
  expect(recent()).toBe(1);
  vi.setSystemTime(2_000 * MINUTE_MS);
  expect(recent()).toBe(0);
});

test("at most 1,000 rows are kept: the one whose last request is the longest ago is dropped", () => {
  const failures = new Failures();
  for (let at = 0; at < 1_000; at++) failures.note(ended(`route-${at}`, 503));
  failures.note(ended("route-0", 503));
  failures.note(ended("another", 503));
  const routes = failures.rows().map(({ route }) => route);
  expect(routes).toHaveLength(1_000);
  expect(routes).toContain("route-0");
  expect(routes).not.toContain("route-1");
});
