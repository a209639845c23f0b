import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limitsSchema } from "../../../src/config/limits-schema.ts";
import { RateLimit } from "../../../src/limits/rate-limit.ts";

const limitOf = (rate: Readonly<Record<string, unknown>>): RateLimit => {
  const [config] = limitsSchema.parse({ rate }).rate;
  if (config === undefined) throw new TypeError("a rate was given");
  return new RateLimit(config);
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a window begins with its first request and lets so many through", async () => {
  const limit = limitOf({ requests: 2, per: "10s", by: "ip" });
  expect(await limit.consume("a")).toEqual({ isOver: false, remaining: 1, msLeft: 10_000 });
  await vi.advanceTimersByTimeAsync(4000);
  expect(await limit.consume("a")).toEqual({ isOver: false, remaining: 0, msLeft: 6000 });
  expect(await limit.consume("a")).toEqual({ isOver: true, remaining: 0, msLeft: 6000 });
  expect(await limit.consume("b")).toMatchObject({ isOver: false });
  await vi.advanceTimersByTimeAsync(6000);
  expect(await limit.consume("a")).toEqual({ isOver: false, remaining: 1, msLeft: 10_000 });
  limit.close();
});

test("property: over any requests in any order, each key gets what a counter with windows gives it", async () => {
  const step = fc.record({ key: fc.nat(6), waitMs: fc.nat(700) });
  const sizes = { requests: fc.integer({ min: 1, max: 5 }), maxKeys: fc.integer({ min: 1, max: 4 }) };
  await fc.assert(
    fc.asyncProperty(fc.record(sizes), fc.array(step, { maxLength: 60 }), async (config, steps) => {
      const limit = limitOf({ ...config, per: "2s", by: "ip" });
      const windows = new Map<string, { count: number; end: number }>();
      for (const { key, waitMs } of steps) {
        await vi.advanceTimersByTimeAsync(waitMs);
        const now = performance.now();
        for (const [name, { end }] of windows) if (end <= now) windows.delete(name);
        const told = [...windows.keys()].filter((name) => name !== "others").length;
        const name = windows.has(`k${key}`) || told < config.maxKeys ? `k${key}` : "others";
        const window = windows.get(name) ?? { count: 0, end: now + 2000 };
        windows.set(name, window);
        window.count += 1;
        const count = await limit.consume(`k${key}`);
        expect(count.isOver).toBe(window.count > config.requests);
        expect(count.remaining).toBe(Math.max(0, config.requests - window.count));
        expect(count.msLeft).toBeLessThanOrEqual(2000);
        expect(limit.size).toBeLessThanOrEqual(config.maxKeys);
      }
      limit.close();
    }),
    { numRuns: 300 },
  );
});

test("what is given back may be consumed again", async () => {
  const limit = limitOf({ requests: 1, per: "1s" });
  await limit.consume("a");
  await limit.giveBack("a");
  expect(await limit.consume("a")).toMatchObject({ isOver: false });
  limit.close();
});

test("a clock that is set back makes nobody wait longer than the whole window", async () => {
  const limit = limitOf({ requests: 1, per: "10s" });
  await limit.consume("a");
  vi.setSystemTime(Date.now() - 3_600_000);
  const { isOver, msLeft } = await limit.consume("a");
  expect({ isOver, isBounded: msLeft <= 10_000 }).toEqual({ isOver: true, isBounded: true });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await limit.consume("a")).toMatchObject({ isOver: false });
  limit.close();
});

test("closing leaves no timer", async () => {
  const limit = limitOf({ requests: 1, per: "1d", by: "ip", maxKeys: 2 });
  for (const key of ["a", "b", "c", "d"]) await limit.consume(key);
  expect(vi.getTimerCount()).toBe(3);
  limit.close();
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ["10s", "10 second"],
  ["60s", "1 minute"],
  ["90s", "90 second"],
  ["2h", "2 hour"],
  ["1d", "1 day"],
])("the debug field spells %s as the API gateway does", (per, spelled) => {
  const limit = limitOf({ requests: 10, per });
  const field = limit.debugField("RELEASE route", { isOver: false, remaining: 9, msLeft: 1 });
  expect(field).toEqual(["X-Apig-RateLimit-api", `remain:9,limit:10,time:${spelled}`]);
});
