import { AggregatorRegistry, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { RouteHistogram } from "../../../src/observe/route-histogram.ts";

const NAME = "sluice_test_seconds";
const ABOUT = { name: NAME, help: "For a test.", buckets: [0.1, 1, 10] };

/** The same observations in ours and in prom-client's Histogram. */
function pair(seconds: readonly (readonly [route: string, seconds: number])[]): [Registry, Registry] {
  const [ours, theirs] = [new Registry(), new Registry()];
  const own = new RouteHistogram({ ...ABOUT, register: ours });
  const other = new Histogram({ ...ABOUT, labelNames: ["route"], registers: [theirs] });
  for (const [route, value] of seconds) {
    own.observe(route, value);
    other.observe({ route }, value);
  }
  return [ours, theirs];
}

const SECONDS = [
  ["a", 0],
  ["a", 0.1],
  ["a", 0.100001],
  ["b", 10],
  ["b", 10.5],
  ["", 3],
  ['"\n\\', 1],
] as const;

test("a scrape equals that of prom-client's Histogram", async () => {
  const [ours, theirs] = pair(SECONDS);
  expect(await ours.metrics()).toBe(await theirs.metrics());
  expect(await pair([])[0].metrics()).toBe(await pair([])[1].metrics());
});

test("the sums over several processes equal those of prom-client's Histogram", async () => {
  const registries = [pair(SECONDS), pair([["a", 5]])];
  const [ours, theirs] = await Promise.all(
    [0, 1].map(async (which) => {
      const all = await Promise.all(registries.map((both) => (both[which] as Registry).getMetricsAsJSON()));
      return AggregatorRegistry.aggregate(all).metrics();
    }),
  );
  expect(ours).toBe(theirs);
  expect(ours).toContain(`${NAME}_count{route="a"} 4`);
});
