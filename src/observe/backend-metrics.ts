import { Counter, Gauge, type MetricValueWithName, type Registry } from "prom-client";
import {
  type CustomMetric,
  type CustomMetricValues,
  registerCustomMetric,
} from "../process/internals/custom-metric.ts";
import type { Spread } from "./spread.ts";

/** Whether a backend works, as the last attempts and checks show it. */
export interface BackendUp {
  readonly route: string;
  readonly backend: string;
  readonly isUp: boolean;
}

/** The attempts of one backend, and its times to connect. A backend of two environments comes twice. */
export interface BackendCounts {
  readonly route: string;
  readonly backend: string;
  readonly attempts: ReadonlyMap<string, number>;
  readonly connects: Spread;
}

interface BackendSources {
  readonly backends: () => Iterable<BackendUp>;
  readonly records: () => Iterable<BackendCounts>;
}

/** Declares the metrics of backends, read at each scrape. */
export function declareBackends(register: Registry, { backends, records }: BackendSources): void {
  const registers = [register];
  new Gauge({
    name: "sluice_backend_up",
    help: "0 while the last attempt or check of a backend failed, else 1.",
    labelNames: ["route", "backend"],
    // Of several processes the worst state counts.
    aggregator: "min",
    registers,
    collect() {
      this.reset();
      for (const { route, backend, isUp } of backends()) this.set({ route, backend }, isUp ? 1 : 0);
    },
  });
  new Counter({
    name: "sluice_backend_attempts_total",
    help: "Requests sent to backends, by result; success is any response.",
    labelNames: ["route", "backend", "result"],
    registers,
    collect() {
      this.reset();
      for (const { route, backend, attempts } of records())
        for (const [result, count] of attempts) this.inc({ route, backend, result }, count);
    },
  });
  new BackendHistogram({
    name: "sluice_backend_connect_seconds",
    help: "Time to connect to a backend, TLS included; requests on kept connections do not count.",
    register,
    records,
  });
}

interface BackendHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly register: Registry;
  readonly records: () => Iterable<BackendCounts>;
}

/** A histogram of what the records of backends have counted. */
class BackendHistogram implements CustomMetric {
  readonly name: string;
  readonly #options: BackendHistogramOptions;

  constructor(options: BackendHistogramOptions) {
    this.name = options.name;
    this.#options = options;
    registerCustomMetric(options.register, this);
  }

  get(): Promise<CustomMetricValues> {
    const { name, help, records } = this.#options;
    const sums = new Map<string, MetricValueWithName<string>>();
    for (const { route, backend, connects } of records()) {
      for (const value of connects.values(name, { route, backend })) {
        const key = JSON.stringify([value.metricName, value.labels]);
        const before = sums.get(key)?.value ?? 0;
        sums.set(key, { ...value, value: before + value.value });
      }
    }
    return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values: [...sums.values()] });
  }
}
