import { AggregatorRegistry, Registry } from "prom-client";
import type { MetricValues } from "./metrics.ts";

/** What only goes up: it is kept of a process that is gone, or a sum would go down as if all had started anew. */
const KEPT = new Set<unknown>(["counter", "histogram"]);

/**
 * The metrics of several processes as those of one: sums, without a label that tells the processes apart.
 *
 * Of one that died counts what it said last, so that no counter goes back behind what was scraped.
 */
export class SummedMetrics {
  /** By process. */
  readonly #last = new Map<number, readonly MetricValues[]>();
  #departed: readonly MetricValues[] = [];
  #folding: Promise<void> = Promise.resolve();
  readonly #onFault: (error: unknown) => void;

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Notes what a process says now. */
  note(id: number, values: readonly MetricValues[]): void {
    this.#last.set(id, values);
  }

  /** Notes that a process is gone. */
  forget(id: number): void {
    const last = this.#last.get(id)?.filter(({ type }) => KEPT.has(type));
    this.#last.delete(id);
    if (last === undefined) return;
    const fold = async () => {
      this.#departed = await sumOf([this.#departed, last]).getMetricsAsJSON();
    };
    // Never rejects, because each scrape waits for it.
    this.#folding = this.#folding.then(fold).catch(this.#onFault);
  }

  /** All of it and `own`, which is not added to anything, in the text format of Prometheus. */
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
