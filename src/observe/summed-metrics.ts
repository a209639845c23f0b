import { AggregatorRegistry, Registry } from "prom-client";
import type { MetricValues } from "./metrics.ts";

/**
 * The types of metrics that only increase. When a process has exited, their last values are kept: otherwise the sum
 * would decrease, which Prometheus treats as a restart.
 */
const KEPT = new Set<unknown>(["counter", "histogram"]);

/**
 * The metrics of several processes as those of one: sums, without a label for the process.
 *
 * The last counts of a process that exited are kept, so that no counter falls below its scraped value.
 */
export class SummedMetrics {
  /** The last values by process id. */
  readonly #last = new Map<number, readonly MetricValues[]>();
  #departed: readonly MetricValues[] = [];
  #folding: Promise<void> = Promise.resolve();
  readonly #onFault: (error: unknown) => void;

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Notes the present values of a process. */
  note(id: number, values: readonly MetricValues[]): void {
    this.#last.set(id, values);
  }

  /** Notes that a process has exited. */
  forget(id: number): void {
    const last = this.#last.get(id)?.filter(({ type }) => KEPT.has(type));
    this.#last.delete(id);
    if (last === undefined) return;
    const fold = async () => {
      this.#departed = await sumOf([this.#departed, last]).getMetricsAsJSON();
    };
    // Must not reject: each scrape waits for it.
    this.#folding = this.#folding.then(fold).catch(this.#onFault);
  }

  /** Returns the sums in the text format of Prometheus; a metric of `own` replaces the sum of the same name. */
  async text(own: Registry): Promise<string> {
    await this.#folding;
    const sum = sumOf([...this.#last.values(), this.#departed]);
    const names = new Set(own.getMetricsAsArray().map(({ name }) => name));
    for (const name of names) sum.removeSingleMetric(name);
    return await Registry.merge([sum, own]).metrics();
  }
}

function sumOf(processes: readonly (readonly MetricValues[])[]): Registry {
  return AggregatorRegistry.aggregate([...processes]);
}
