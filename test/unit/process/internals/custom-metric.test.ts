import { AggregatorRegistry, Registry } from "prom-client";
import { expect, test } from "vitest";
import { type CustomMetric, registerCustomMetric } from "../../../../src/process/internals/custom-metric.ts";

function registryWith(value: number): Registry {
  const metric: CustomMetric = {
    name: "custom",
    get: async () => ({
      name: "custom",
      help: "For a test.",
      type: "histogram",
      aggregator: "sum",
      values: [{ labels: { route: "a" }, value, metricName: "custom_count" }],
    }),
  };
  const registry = new Registry();
  registerCustomMetric(registry, metric);
  return registry;
}

const TEXT = '# HELP custom For a test.\n# TYPE custom histogram\ncustom_count{route="a"}';

test("a registry writes a custom metric, also one that was merged with another", async () => {
  const registry = registryWith(2);
  expect(await registry.metrics()).toBe(`${TEXT} 2\n`);
  expect(await Registry.merge([registry, new Registry()]).metrics()).toBe(`${TEXT} 2\n`);
});

test("the values of several processes are added up by the metric's aggregator", async () => {
  const all = await Promise.all([2, 3].map((value) => registryWith(value).getMetricsAsJSON()));
  expect(await AggregatorRegistry.aggregate(all).metrics()).toBe(`${TEXT} 5\n`);
});
