import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CounterStoreUnavailable } from "../../../src/limits/counter-store.ts";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";
import { MemorySessions } from "../../../src/limits/memory-sessions.ts";
import { withOwnSessions } from "../../../src/limits/shared-sessions.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const BOUNDS = { maxKeys: 3, expires: 1000 };

test("a session is forgotten when it was unused for its time", () => {
  const sessions = new MemorySessions();
  sessions.put("a", "one", BOUNDS);
  vi.advanceTimersByTime(999);
  expect(sessions.find("a", BOUNDS)).toBe("one");
  vi.advanceTimersByTime(999);
  expect(sessions.find("a", BOUNDS)).toBe("one");
  vi.advanceTimersByTime(1000);
  expect(sessions.find("a", BOUNDS)).toBeUndefined();
});

test("beyond maxKeys the longest unused session is forgotten", () => {
  const sessions = new MemorySessions();
  for (const name of ["a", "b", "c"]) sessions.put(name, "one", BOUNDS);
  sessions.find("a", BOUNDS);
  sessions.put("d", "two", BOUNDS);
  expect(["a", "b", "c", "d"].map((name) => sessions.find(name, BOUNDS))).toEqual([
    "one",
    undefined,
    "one",
    "two",
  ]);
  // A reload lowers the limit.
  sessions.put("d", "three", { ...BOUNDS, maxKeys: 1 });
  expect(["a", "c", "d"].map((name) => sessions.find(name, BOUNDS))).toEqual([undefined, undefined, "three"]);
});

test("whatever is put and found, a session has the last backend that was put, or none", () => {
  const step = fc.record({ name: fc.constantFrom("a", "b", "c", "d", "e"), backend: fc.option(fc.string()) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const sessions = new MemorySessions();
      const last = new Map<string, string>();
      for (const { name, backend } of steps) {
        if (backend !== null) {
          sessions.put(name, backend, BOUNDS);
          last.set(name, backend);
          expect(sessions.find(name, BOUNDS)).toBe(backend);
        } else {
          const found = sessions.find(name, BOUNDS);
          if (found !== undefined) expect(found).toBe(last.get(name));
        }
      }
      const known = ["a", "b", "c", "d", "e"].filter((name) => sessions.find(name, BOUNDS) !== undefined);
      expect(known.length).toBeLessThanOrEqual(3);
    }),
  );
});

test("sessions stay while a route has them, also over a reload, and differ by route and environment", async () => {
  const store = new MemoryCounterStore(0);
  const first = store.sessions("main", "RELEASE", BOUNDS);
  await first.put("a", "one");
  expect(store.sessions("main", "TEST", BOUNDS).find("a")).toBeUndefined();
  expect(store.sessions("other", "RELEASE", BOUNDS).find("a")).toBeUndefined();
  const second = store.sessions("main", "RELEASE", BOUNDS);
  first.close();
  first.close();
  expect(second.find("a")).toBe("one");
  second.close();
  expect(store.sessions("main", "RELEASE", BOUNDS).find("a")).toBeUndefined();
});

test("own sessions answer while the shared ones are unavailable or empty, and take over what was read", async () => {
  const shared = new Map<string, string>();
  let isAway = false;
  const reach = () => {
    if (isAway) throw new CounterStoreUnavailable("away");
  };
  const remote = {
    find: async (session: string) => {
      reach();
      return shared.get(session);
    },
    put: async (session: string, backend: string) => {
      reach();
      shared.set(session, backend);
    },
  };
  const store = new MemoryCounterStore(0);
  const sessions = withOwnSessions(remote, store.sessions("main", "RELEASE", BOUNDS));
  shared.set("elsewhere", "one");
  expect(await sessions.find("elsewhere")).toBe("one");
  await sessions.put("here", "two");
  expect(shared.get("here")).toBe("two");
  isAway = true;
  expect([await sessions.find("elsewhere"), await sessions.find("here")]).toEqual(["one", "two"]);
  await sessions.put("late", "three");
  isAway = false;
  shared.clear();
  expect(await sessions.find("late")).toBe("three");
  // What began meanwhile, and what it has lost, the shared store gets when it is used.
  expect(await sessions.find("elsewhere")).toBe("one");
  expect(Object.fromEntries(shared)).toEqual({ late: "three", elsewhere: "one" });
  shared.set("here", "four");
  expect(await sessions.find("here")).toBe("four");
});

test("an error other than unavailability is passed on", async () => {
  const store = new MemoryCounterStore(0);
  const broken = {
    find: () => Promise.reject(new TypeError("broken")),
    put: () => Promise.reject(new TypeError("broken")),
  };
  const sessions = withOwnSessions(broken, store.sessions("main", "RELEASE", BOUNDS));
  await expect(sessions.find("a")).rejects.toThrow("broken");
  await expect(sessions.put("a", "one")).rejects.toThrow("broken");
});
