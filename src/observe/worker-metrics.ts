import { Counter, Gauge, Registry } from "prom-client";
import { processMetrics } from "./process-metrics.ts";

/** What only the process knows that has the others. */
export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #restarts: Counter;
  readonly #reloads: Counter<"result">;

  constructor({ alive, isReady }: { readonly alive: () => number; readonly isReady: () => boolean }) {
    const registers = [this.registry];
    new Gauge({
      name: "sluice_workers",
      help: "Workers that serve.",
      registers,
      collect() {
        this.set(alive());
      },
    });
    this.#restarts = new Counter({
      name: "sluice_worker_restarts_total",
      help: "Workers that were started in the place of one that died.",
      registers,
    });
    this.#reloads = new Counter({
      name: "sluice_config_reloads_total",
      help: "Reloads of the configuration; a failure has changed nothing.",
      labelNames: ["result"],
      registers,
    });
    for (const result of ["success", "failure"]) this.#reloads.inc({ result }, 0);
    new Gauge({
      name: "sluice_ready",
      help: "What /readyz says: 1 for ready.",
      registers,
      collect() {
        this.set(isReady() ? 1 : 0);
      },
    });
    const startTime = processMetrics().getSingleMetric("process_start_time_seconds");
    if (startTime !== undefined) this.registry.registerMetric(startTime);
  }

  restarted(): void {
    this.#restarts.inc();
  }

  reloaded(result: "success" | "failure"): void {
    this.#reloads.inc({ result });
  }
}
