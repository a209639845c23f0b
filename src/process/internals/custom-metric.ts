import type { Metric, MetricValueWithName, Registry } from "prom-client";

/** A metric of a class of ours, as a registry of prom-client reads it. */
export interface CustomMetric {
  readonly name: string;
  /** Called at each scrape. */
  get(): Promise<CustomMetricValues>;
}

export interface CustomMetricValues {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  /** How the values of several processes become one. */
  readonly aggregator: "sum" | "min" | "max" | "average" | "first" | "omit";
  readonly values: readonly MetricValueWithName<string>[];
}

/**
 * Adds a metric of our own class to a registry.
 *
 * - Assumed of prom-client 15: a registry reads `name` of a metric when it is added and calls `get()` at each scrape;
 *   for text, for JSON and in a merged registry. Its types accept the library's own classes only.
 * - Without it: durations need the library's Histogram, which checks and joins the labels of each observation; that
 *   took a fortieth of the time of an ordinary request.
 * - Can go when prom-client looks up a labelled child once, or accepts custom metrics by its types.
 */
export function registerCustomMetric(register: Registry, metric: CustomMetric): void {
  register.registerMetric(metric as unknown as Metric);
}
