import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limitsSchema, type RateConfig } from "../../../src/config/limits-schema.ts";
import { CounterStoreUnavailable } from "../../../src/limits/counter-store.ts";
import { BoundedWindows, MemoryWindows, memoryWindows, withFallback } from "../../../src/limits/windows.ts";

const configOf = (rate: Readonly<Record<string, unknown>>): RateConfig => {
  const [config] = limitsSchema.parse({ rate }).rate;
  if (config === undefined) throw new TypeError("a rate was given");
  return config;
};
const windowsOf = (rate: Readonly<Record<string, unknown>>) => memoryWindows(configOf(rate));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a window begins with its first request and admits the configured number", async () => {
  const windows = windowsOf({ requests: 2, per: "10s", by: "ip" });
  expect(await windows.take("a")).toEqual({ isOver: false, remaining: 1, msLeft: 10_000 });
  await vi.advanceTimersByTimeAsync(4000);
  expect(await windows.take("a")).toEqual({ isOver: false, remaining: 0, msLeft: 6000 });
  expect(await windows.take("a")).toEqual({ isOver: true, remaining: 0, msLeft: 6000 });
  expect(await windows.take("b")).toMatchObject({ isOver: false });
  await vi.advanceTimersByTimeAsync(6000);
  expect(await windows.take("a")).toEqual({ isOver: false, remaining: 1, msLeft: 10_000 });
  windows.close();
});

test("an amount is counted and taken back, and no count becomes negative", async () => {
  const windows = windowsOf({ requests: 100, per: "10s", by: "ip" });
  expect(await windows.take("a", 60)).toMatchObject({ isOver: false, remaining: 40 });
  expect(await windows.take("a", 60)).toMatchObject({ isOver: true, remaining: 0 });
  await windows.release("a", 60);
  expect(await windows.take("a", 10)).toMatchObject({ isOver: false, remaining: 30 });
  await windows.release("a", 1000);
  expect(await windows.take("a", 100)).toMatchObject({ isOver: false, remaining: 0 });
  await windows.release("b", 5);
  expect(await windows.take("b", 1)).toMatchObject({ remaining: 99 });
  windows.close();
});

test("a count after the end leaves nothing behind", async () => {
  const config = configOf({ requests: 2, per: "1d", by: "ip" });
  const counter = new MemoryWindows(config);
  const windows = new BoundedWindows(config, counter);
  await windows.take("a");
  windows.close();
  expect(await windows.take("a", 2)).toMatchObject({ isOver: false, remaining: 0 });
  expect(await counter.take("a")).toMatchObject({ remaining: 1 });
  counter.forget("a");
});

test("property: for any sequence of requests, each key gets the same result as from a simple counter", async () => {
  const step = fc.record({ key: fc.nat(6), waitMs: fc.nat(700) });
  const sizes = { requests: fc.integer({ min: 1, max: 5 }), maxKeys: fc.integer({ min: 1, max: 4 }) };
  await fc.assert(
    fc.asyncProperty(fc.record(sizes), fc.array(step, { maxLength: 60 }), async (config, steps) => {
      const windows = windowsOf({ ...config, per: "2s", by: "ip" });
      const expected = new Map<string, { count: number; end: number }>();
      for (const { key, waitMs } of steps) {
        await vi.advanceTimersByTimeAsync(waitMs);
        const now = performance.now();
        for (const [name, { end }] of expected) if (end <= now) expected.delete(name);
        const told = [...expected.keys()].filter((name) => name !== "others").length;
        const name = expected.has(`k${key}`) || told < config.maxKeys ? `k${key}` : "others";
        const window = expected.get(name) ?? { count: 0, end: now + 2000 };
        expected.set(name, window);
        window.count += 1;
        const count = await windows.take(`k${key}`);
        expect(count.isOver).toBe(window.count > config.requests);
        expect(count.remaining).toBe(Math.max(0, config.requests - window.count));
        expect(count.msLeft).toBeLessThanOrEqual(2000);
      }
      windows.close();
    }),
    { numRuns: 300 },
  );
});

test("a released count is free again", async () => {
  const windows = windowsOf({ requests: 1, per: "1s" });
  await windows.take("a");
  await windows.release("a");
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  windows.close();
});

test("a release after the end of the window opens no window", async () => {
  const windows = windowsOf({ requests: 1, per: "1s" });
  await windows.take("a");
  await vi.advanceTimersByTimeAsync(1000);
  await windows.release("a");
  expect(vi.getTimerCount()).toBe(0);
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  expect(await windows.take("a")).toMatchObject({ isOver: true });
  windows.close();
});

test("after the clock was set back, no client waits longer than a whole window", async () => {
  const windows = windowsOf({ requests: 1, per: "10s" });
  await windows.take("a");
  vi.setSystemTime(Date.now() - 3_600_000);
  const { isOver, msLeft } = await windows.take("a");
  expect({ isOver, isBounded: msLeft <= 10_000 }).toEqual({ isOver: true, isBounded: true });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  windows.close();
});

test("close leaves no timer", async () => {
  const windows = windowsOf({ requests: 1, per: "1d", by: "ip", maxKeys: 2 });
  for (const key of ["a", "b", "c", "d"]) await windows.take(key);
  expect(vi.getTimerCount()).toBe(3);
  windows.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("without the shared store each process counts for itself", async () => {
  let isAway = true;
  const config = configOf({ requests: 1, per: "10s" });
  const ofOthers = memoryWindows(config);
  const reach = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isAway) throw new CounterStoreUnavailable("away");
    return await call();
  };
  const shared = {
    take: (key: string) => reach(() => ofOthers.take(key)),
    release: (key: string) => reach(() => ofOthers.release(key)),
  };
  const own = memoryWindows(config);
  const windows = withFallback(shared, own);
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  expect(await windows.take("a")).toMatchObject({ isOver: true });
  await windows.release("a");
  await windows.release("a");
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  isAway = false;
  expect(await windows.take("a")).toMatchObject({ isOver: false });
  expect(await windows.take("a")).toMatchObject({ isOver: true });
  ofOthers.close();
  own.close();
});

test("any error other than an unavailable store is passed on", async () => {
  const broken = {
    take: () => Promise.reject(new TypeError("broken")),
    release: () => Promise.reject(new TypeError("broken")),
  };
  const windows = withFallback(broken, broken);
  await expect(windows.take("a")).rejects.toThrow(TypeError);
  await expect(windows.release("a")).rejects.toThrow(TypeError);
});
