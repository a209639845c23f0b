import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { SummedMetrics } from "../../../src/observe/summed-metrics.ts";
import { samplesIn } from "../../support/admin.ts";

/** The metrics of one process. */
function processOf(counted: number) {
  const registry = new Registry();
  const registers = [registry];
  const counter = new Counter({ name: "c_total", help: "c", labelNames: ["route"], registers });
  counter.inc({ route: "a" }, counted);
  new Gauge({ name: "g", help: "g", registers }).set(counted);
  new Gauge({ name: "up", help: "up", aggregator: "min", registers }).set(counted > 1 ? 1 : 0);
  new Histogram({ name: "h", help: "h", buckets: [1, 10], registers }).observe(counted);
  new Gauge({ name: "own", help: "of each", registers }).set(7);
  return registry.getMetricsAsJSON();
}

async function samplesOf(summed: SummedMetrics) {
  const own = new Registry();
  new Gauge({ name: "own", help: "of the primary", registers: [own] }).set(1);
  return samplesIn(await summed.text(own));
}

test("counters, gauges and histograms add up; the primary's own metrics replace the sums", async () => {
  const summed = new SummedMetrics(() => expect.unreachable());
  summed.note(1, await processOf(5));
  summed.note(2, await processOf(1));
  const samples = await samplesOf(summed);
  expect(Object.fromEntries(samples)).toEqual({
    'c_total{route="a"}': 6,
    g: 6,
    up: 0,
    'h_bucket{le="1"}': 1,
    'h_bucket{le="10"}': 2,
    'h_bucket{le="+Inf"}': 2,
    h_sum: 6,
    h_count: 2,
    own: 1,
  });
});

test("an exited process keeps its counts in the sums, and loses its gauges", async () => {
  const summed = new SummedMetrics(() => expect.unreachable());
  for (const id of [1, 2, 3]) summed.note(id, await processOf(id));
  summed.forget(1);
  summed.forget(2);
  summed.forget(9);
  const samples = await samplesOf(summed);
  expect(samples.get('c_total{route="a"}')).toBe(6);
  expect(samples.get("h_count")).toBe(3);
  expect(samples.get("g")).toBe(3);
  expect(samples.get("up")).toBe(1);
  summed.forget(3);
  expect(await samplesOf(summed)).not.toContain("g");
  expect((await samplesOf(summed)).get("h_sum")).toBe(6);
});
