import fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, createBalance } from "../../../src/upstream/balance.ts";

interface Worker extends Candidate {
  inFlight: number;
  isAvailable: boolean;
}

const worker = (url: string, weight = 1, inFlight = 0): Worker => ({
  url,
  weight,
  inFlight,
  isAvailable: true,
});

const NONE: readonly Worker[] = [];

/** Creates a method for these workers that finds a worker for each key. */
function balanceOf(
  workers: readonly Worker[],
  method: Parameters<typeof createBalance>[1],
  random = Math.random,
) {
  const next = createBalance(workers, method, random);
  return (key?: string, tried = NONE): Worker => {
    const chosen = next(tried, key);
    if (chosen === undefined) throw new Error("no worker");
    return chosen;
  };
}

const workersOf = (weights: readonly number[]) => weights.map((weight, at) => worker(`b${at}`, weight));

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });

function countPicks(workers: readonly Worker[], times: number, pick: (at: number) => Worker) {
  const counts = new Map(workers.map(({ url }) => [url, 0]));
  for (let at = 0; at < times; at++) {
    const { url } = pick(at);
    counts.set(url, (counts.get(url) ?? 0) + 1);
  }
  return counts;
}

test("roundRobin spreads as nginx does: 5, 1, 1 is a a b a c a a", () => {
  const workers = [worker("a", 5), worker("b"), worker("c")];
  const next = balanceOf(workers, "roundRobin");
  expect(Array.from({ length: 7 }, () => next().url).join(" ")).toBe("a a b a c a a");
});

test("roundRobin gives each backend exactly its weight in every round", () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 4 }), (list, rounds) => {
      const workers = workersOf(list);
      const next = balanceOf(workers, "roundRobin");
      const total = list.reduce((sum, weight) => sum + weight, 0);
      const counts = countPicks(workers, total * rounds, () => next());
      expect([...counts.values()]).toEqual(list.map((weight) => weight * rounds));
    }),
  );
});

test("leastConnections never picks a backend with more load for its weight than another", () => {
  const busy = fc.array(fc.record({ weight: fc.integer({ min: 1, max: 9 }), inFlight: fc.nat(50) }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(busy, (list) => {
      const workers = list.map(({ weight, inFlight }, at) => worker(`b${at}`, weight, inFlight));
      const chosen = balanceOf(workers, "leastConnections")();
      const least = Math.min(...workers.map(({ inFlight, weight }) => inFlight / weight));
      expect(chosen.inFlight / chosen.weight).toBeCloseTo(least, 9);
    }),
  );
});

test("leastConnections shares streams that never end by weight", () => {
  fc.assert(
    fc.property(weights, (list) => {
      const workers = workersOf(list);
      const next = balanceOf(workers, "leastConnections");
      const total = list.reduce((sum, weight) => sum + weight, 0);
      for (let n = 0; n < total * 3; n++) next().inFlight++;
      for (const { inFlight, weight } of workers) expect(inFlight).toBe(weight * 3);
    }),
  );
});

test("leastConnections takes idle backends in turn", () => {
  const workers = workersOf([1, 1, 1]);
  const next = balanceOf(workers, "leastConnections");
  const counts = countPicks(workers, 9, () => next());
  expect([...counts.values()]).toEqual([3, 3, 3]);
});

const addressAt = (at: number) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;

const pools = fc.record({
  list: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 }),
  at: fc.nat(7),
});

test("hash moves only the keys of a backend that leaves, and gives them back when it returns", () => {
  fc.assert(
    fc.property(pools, fc.array(fc.string(), { minLength: 1 }), ({ list, at }, keys) => {
      const workers = workersOf(list);
      const gone = workers[at % list.length] as Worker;
      const before = balanceOf(workers, "hash");
      const after = balanceOf(
        workers.filter((one) => one !== gone),
        "hash",
      );
      for (const key of keys) {
        const home = before(key);
        const next = after(key);
        if (home !== gone) expect(next).toBe(home);
        // Down, tried, or removed from the configuration: the same next one.
        expect(before(key, [gone])).toBe(next);
        gone.isAvailable = false;
        expect(before(key)).toBe(next);
        gone.isAvailable = true;
        expect(before(key)).toBe(home);
      }
    }),
  );
});

test("hash moves to a new backend its share of the keys, by weight, and no other key", () => {
  fc.assert(
    fc.property(pools, fc.integer({ min: 1, max: 9 }), fc.nat(), ({ list }, weight, seed) => {
      const workers = workersOf(list);
      const added = worker("added", weight);
      const before = balanceOf(workers, "hash");
      const after = balanceOf([...workers, added], "hash");
      let moved = 0;
      const keys = 4000;
      for (let n = 0; n < keys; n++) {
        const key = `user-${seed}-${n}`;
        const now = after(key);
        if (now === before(key)) continue;
        expect(now).toBe(added);
        moved++;
      }
      const share = weight / (weight + list.reduce((sum, one) => sum + one, 0));
      // Five standard deviations of a binomial distribution.
      expect(Math.abs(moved / keys - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / keys));
    }),
    { numRuns: 30 },
  );
});

test("hash without a key takes the backend with the fewest requests", () => {
  const workers = [worker("a", 1, 3), worker("b", 1, 1), worker("c", 1, 2)];
  const next = balanceOf(workers, "hash");
  for (let n = 0; n < 3; n++) expect(next(undefined).url).toBe("b");
});

test.each(["roundRobin", "leastConnections", "hash", "randomTwo"] as const)(
  "%s takes no backend that is unavailable or tried, and returns none if no other is left",
  (method) => {
    const [a, b, c] = workersOf([1, 5, 1]) as [Worker, Worker, Worker];
    const next = createBalance([a, b, c], method);
    b.isAvailable = false;
    for (let n = 0; n < 20; n++) expect(next([a], `key ${n}`)).toBe(c);
    expect(next([a, c], "key")).toBeUndefined();
    expect(createBalance<Worker>([], method)(NONE, "key")).toBeUndefined();
  },
);

test("hash spreads the addresses of one network by weight", () => {
  const workers = workersOf([1, 1, 2]);
  const next = balanceOf(workers, "hash");
  const [a = 0, b = 0, c = 0] = countPicks(workers, 20_000, (at) => next(addressAt(at))).values();
  for (const [count, share] of [
    [a, 5000],
    [b, 5000],
    [c, 10_000],
  ] as const) {
    expect(Math.abs(count - share) / share).toBeLessThan(0.06);
  }
});

test("randomTwo never picks the busiest of three, and reaches the others", () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999999, noNaN: true })), (stream) => {
      const random = () => stream.next().value as number;
      const workers = [worker("a"), worker("b", 1, 5), worker("c", 1, 9)];
      const next = balanceOf(workers, "randomTwo", random);
      for (let n = 0; n < 20; n++) expect(next().url).not.toBe("c");
    }),
  );
  const workers = workersOf([1, 1, 2]);
  const next = balanceOf(workers, "randomTwo");
  const counts = countPicks(workers, 2000, () => next());
  expect(Math.min(...counts.values())).toBeGreaterThan(200);
});

test.each(["roundRobin", "leastConnections", "hash", "randomTwo"] as const)(
  "%s takes the only backend",
  (method) => {
    const workers = workersOf([3]);
    const next = balanceOf(workers, method);
    for (let n = 0; n < 3; n++) expect(next("client")).toBe(workers[0]);
  },
);
