import type { Registry } from "prom-client";
import {
  type CustomMetric,
  type CustomMetricValues,
  registerCustomMetric,
} from "../process/internals/custom-metric.ts";
import { Spread } from "./spread.ts";

interface RouteHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds in the histogram's unit, in rising order. */
  readonly buckets: readonly number[];
  readonly register: Registry;
}

/**
 * A histogram by route, of seconds or another unit: observations are added to plain numbers, which a scrape formats.
 *
 * prom-client's Histogram checks the labels of each observation and looks them up by a joined text, which took a
 * fortieth of the time of an ordinary request.
 */
export class RouteHistogram implements CustomMetric {
  readonly name: string;
  readonly #help: string;
  readonly #buckets: readonly number[];
  readonly #spreads = new Map<string, Spread>();

  constructor({ name, help, buckets, register }: RouteHistogramOptions) {
    this.name = name;
    this.#help = help;
    this.#buckets = buckets;
    registerCustomMetric(register, this);
  }

  observe(route: string, value: number): void {
    let spread = this.#spreads.get(route);
    if (spread === undefined) {
      spread = new Spread(this.#buckets);
      this.#spreads.set(route, spread);
    }
    spread.observe(value);
  }

  /** Returns the values for prom-client, which adds up those of several processes. */
  get(): Promise<CustomMetricValues> {
    const { name } = this;
    const values = [...this.#spreads].flatMap(([route, spread]) => spread.values(name, { route }));
    return Promise.resolve({ name, help: this.#help, type: "histogram", aggregator: "sum", values });
  }
}
