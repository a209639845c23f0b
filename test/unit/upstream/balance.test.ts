import fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, createBalance } from "../../../src/upstream/balance.ts";

interface Worker extends Candidate {
  inFlight: number;
}

const worker = (url: string, weight = 1, inFlight = 0): Worker => ({ url, weight, inFlight });

const workersOf = (weights: readonly number[]): [Worker, ...Worker[]] => {
  const [first = worker("b0"), ...others] = weights.map((weight, at) => worker(`b${at}`, weight));
  return [first, ...others];
};

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });

function countPicks(workers: [Worker, ...Worker[]], times: number, pick: (at: number) => Worker) {
  const counts = new Map(workers.map(({ url }) => [url, 0]));
  for (let at = 0; at < times; at++) {
    const { url } = pick(at);
    counts.set(url, (counts.get(url) ?? 0) + 1);
  }
  return counts;
}

test("roundRobin spreads as nginx does: 5, 1, 1 is a a b a c a a", () => {
  const workers: [Worker, ...Worker[]] = [worker("a", 5), worker("b"), worker("c")];
  const next = createBalance<Worker>("roundRobin");
  expect(Array.from({ length: 7 }, () => next(workers, "").url).join(" ")).toBe("a a b a c a a");
});

test("roundRobin gives each backend exactly its weight in every round", () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 4 }), (list, rounds) => {
      const workers = workersOf(list);
      const next = createBalance<Worker>("roundRobin");
      const total = list.reduce((sum, weight) => sum + weight, 0);
      const counts = countPicks(workers, total * rounds, () => next(workers, ""));
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
      const [first = worker("b"), ...others] = list.map((one, at) => ({ ...one, url: `b${at}` }));
      const chosen = createBalance<Worker>("leastConnections")([first, ...others], "");
      const least = Math.min(...[first, ...others].map(({ inFlight, weight }) => inFlight / weight));
      expect(chosen.inFlight / chosen.weight).toBeCloseTo(least, 9);
    }),
  );
});

test("leastConnections shares streams that never end by weight", () => {
  fc.assert(
    fc.property(weights, (list) => {
      const workers = workersOf(list);
      const next = createBalance<Worker>("leastConnections");
      const total = list.reduce((sum, weight) => sum + weight, 0);
      for (let n = 0; n < total * 3; n++) next(workers, "").inFlight++;
      for (const { inFlight, weight } of workers) expect(inFlight).toBe(weight * 3);
    }),
  );
});

test("leastConnections takes idle backends in turn", () => {
  const workers = workersOf([1, 1, 1]);
  const next = createBalance<Worker>("leastConnections");
  const counts = countPicks(workers, 9, () => next(workers, ""));
  expect([...counts.values()]).toEqual([3, 3, 3]);
});

const addressAt = (at: number) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`;

test("hash gives a client the same backend, and moves only the clients of a backend that leaves", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.nat(7),
      fc.array(fc.ipV4(), { minLength: 1 }),
      (size, at, clients) => {
        const workers = workersOf(Array.from({ length: size }, () => 1));
        const next = createBalance<Worker>("hash");
        const gone = workers[at % size];
        const [first = worker("b"), ...others] = workers.filter((one) => one !== gone);
        for (const client of clients) {
          const chosen = next(workers, client);
          expect(createBalance<Worker>("hash")(workers, client)).toBe(chosen);
          if (chosen !== gone) expect(next([first, ...others], client)).toBe(chosen);
        }
      },
    ),
  );
});

test("hash spreads the addresses of one network by weight", () => {
  const workers = workersOf([1, 1, 2]);
  const next = createBalance<Worker>("hash");
  const [a = 0, b = 0, c = 0] = countPicks(workers, 20_000, (at) => next(workers, addressAt(at))).values();
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
      const workers: [Worker, ...Worker[]] = [worker("a"), worker("b", 1, 5), worker("c", 1, 9)];
      const next = createBalance<Worker>("randomTwo", random);
      for (let n = 0; n < 20; n++) expect(next(workers, "").url).not.toBe("c");
    }),
  );
  const workers = workersOf([1, 1, 2]);
  const next = createBalance<Worker>("randomTwo");
  const counts = countPicks(workers, 2000, () => next(workers, ""));
  expect(Math.min(...counts.values())).toBeGreaterThan(200);
});

test.each(["roundRobin", "leastConnections", "hash", "randomTwo"] as const)(
  "%s takes the only backend",
  (method) => {
    const workers = workersOf([3]);
    const next = createBalance<Worker>(method);
    for (let n = 0; n < 3; n++) expect(next(workers, "client")).toBe(workers[0]);
  },
);
