import type { MetricValueWithName } from "prom-client";

/** How durations are spread over buckets: plain numbers, so that an observation costs a few additions. */
export class Spread {
  /** Upper bounds in seconds, in rising order. */
  readonly #buckets: readonly number[];
  /** The number of durations in each bucket, without those of lower buckets; the last bucket is above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
    this.#counts = new Array<number>(buckets.length + 1).fill(0);
  }

  observe(seconds: number): void {
    let at = 0;
    while (at < this.#buckets.length && seconds > (this.#buckets[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += seconds;
  }

  /** Returns the values of the histogram `name` for prom-client. */
  values(name: string, labels: Readonly<Record<string, string>>): MetricValueWithName<string>[] {
    let count = 0;
    const buckets = this.#counts.map((own, at) => {
      count += own;
      const bounded = { le: this.#buckets[at] ?? "+Inf", ...labels };
      return { labels: bounded, value: count, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: this.#sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    ];
  }
}
