import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { upstream as schema } from "../../../src/config/upstream-schema.ts";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";
import type { Backend } from "../../../src/upstream/backend.ts";
import { LoopGuard } from "../../../src/upstream/loop-guard.ts";
import { Upstream } from "../../../src/upstream/upstream.ts";
import { fakeExchange } from "../../support/fake-exchange.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const NONE: readonly Backend[] = [];

/** Backends named a, b, c, …, each with the options at its index. */
function pool(options: readonly Record<string, unknown>[], config: Record<string, unknown> = {}) {
  const lines: Record<string, unknown>[] = [];
  const counters = new MemoryCounterStore(0);
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const backends = options.map((one, at) => ({ url: `http://${"abcdef"[at]}.test`, ...one }));
  const upstream = new Upstream(schema.parse({ backends, ...config }), {
    name: "pool",
    environment: "RELEASE",
    counters,
    log,
    loops: new LoopGuard(),
  });
  const backend = (name: string) =>
    upstream.backends.find(({ url }) => url === `http://${name}.test`) as Backend;
  const next = (...tried: string[]) =>
    upstream.choose(fakeExchange(), tried.length === 0 ? NONE : tried.map(backend))?.url.slice(7, 8);
  const nextFrom = (home: string, ...tried: string[]) =>
    upstream.choose(fakeExchange(), tried.map(backend), backend(home))?.url.slice(7, 8);
  return { upstream, counters, backend, next, nextFrom, messages: () => lines.map(({ msg }) => msg), lines };
}

test("in-flight requests are counted until each is released, once", () => {
  const { backend, next } = pool([{}, {}]);
  const a = backend("a");
  const release = a.acquire();
  expect([next(), next(), next()]).toEqual(["b", "b", "b"]);
  release();
  release();
  expect(a.inFlight).toBe(0);
});

const REFUSED = { code: "backend_connect_failed", message: "refused" } as const;

test("a backend that was tried is not chosen again", () => {
  const { next } = pool([{}, {}, {}]);
  expect(next("a", "b")).toBe("c");
  expect(next("a", "b", "c")).toBeUndefined();
});

test("a backup is chosen only while no other backend is available", () => {
  const { upstream, backend, next } = pool([{}, { backup: true }, {}]);
  for (let n = 0; n < 4; n++) expect(next()).not.toBe("b");
  expect(next("a", "c")).toBe("b");
  upstream.failed(backend("a"), REFUSED);
  expect(next()).toBe("c");
  upstream.failed(backend("c"), REFUSED);
  expect([next(), next()]).toEqual(["b", "b"]);
  vi.advanceTimersByTime(10_000);
  expect(next()).not.toBe("b");
});

test("if failures have taken out all backends, all are tried", () => {
  const { upstream, backend, next, messages } = pool([{}, {}]);
  upstream.failed(backend("a"), REFUSED);
  upstream.failed(backend("b"), REFUSED);
  expect(new Set([next(), next()])).toEqual(new Set(["a", "b"]));
  expect(next("a")).toBe("b");
  // Each change is logged once, however many requests fail meanwhile.
  for (const name of ["a", "b", "a", "b"]) upstream.failed(backend(name), REFUSED);
  expect(messages()).toEqual(["backend is out", "backend is out"]);
  upstream.succeeded(backend("a"));
  upstream.succeeded(backend("a"));
  expect(messages().slice(2)).toEqual(["backend is back"]);
});

test("a backend that checks found unhealthy is not chosen, even if there is no other", () => {
  const { backend, next } = pool([{}, {}]);
  backend("a").isHealthy = false;
  expect([next(), next()]).toEqual(["b", "b"]);
  backend("b").isHealthy = false;
  expect(next()).toBeUndefined();
});

test("the only backend of an upstream is never taken out", () => {
  const { upstream, backend, next, messages } = pool([{}]);
  for (let n = 0; n < 10; n++) upstream.failed(backend("a"), REFUSED);
  expect([next(), messages()]).toEqual(["a", []]);
});

test("unverified certificates are warned of, once for the upstream", () => {
  const backends = [{ url: "https://a.test" }, { url: "http://b.test" }];
  const { lines } = pool(backends, { tls: { verify: false } });
  expect(lines).toEqual([
    expect.objectContaining({ level: 40, route: "pool", backends: ["https://a.test"] }),
  ]);
});

test("the backend of a client or session comes first, unless it was tried or is not available", () => {
  const { upstream, backend, nextFrom } = pool([{}, {}, { backup: true }]);
  for (const name of ["a", "b", "c"]) for (let n = 0; n < 3; n++) expect(nextFrom(name)).toBe(name);
  expect(nextFrom("a", "a")).toBe("b");
  expect(nextFrom("a", "a", "b")).toBe("c");
  upstream.failed(backend("a"), REFUSED);
  expect(nextFrom("a")).toBe("b");
  upstream.failed(backend("b"), REFUSED);
  upstream.failed(backend("c"), REFUSED);
  // Failures have taken out all of them, so all may be tried.
  expect(nextFrom("a")).toBe("a");
});

test.each(["retire", "close"] as const)("%s forgets the sessions, unless a new upstream has them", (end) => {
  const { upstream, counters } = pool([{}, {}], { sticky: { learn: "Session-Id" } });
  const sessions = () => counters.sessions("pool", "RELEASE", { maxKeys: 9, expires: 9_000 });
  const next = sessions();
  void next.put("s", "one");
  upstream[end]();
  expect(next.find("s")).toBe("one");
  const { upstream: only, counters: others } = pool([{}, {}], { sticky: { learn: "Session-Id" } });
  const probe = others.sessions("pool", "RELEASE", { maxKeys: 9, expires: 9_000 });
  void probe.put("s", "one");
  probe.close();
  only[end]();
  expect(others.sessions("pool", "RELEASE", { maxKeys: 9, expires: 9_000 }).find("s")).toBeUndefined();
});
