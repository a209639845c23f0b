import { Counter, Gauge, Registry } from "prom-client";
import { declareBuild, declareReady, ReloadMetrics } from "./common-metrics.ts";
import { processMetrics } from "./process-metrics.ts";

/** The metrics that only the primary knows. */
export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #restarts: Counter;
  readonly #reloads: ReloadMetrics;

  constructor({ alive, isReady }: { readonly alive: () => number; readonly isReady: () => boolean }) {
    const registers = [this.registry];
    new Gauge({
      name: "sluice_workers",
      help: "Workers that serve requests.",
      registers,
      collect() {
        this.set(alive());
      },
    });
    this.#restarts = new Counter({
      name: "sluice_worker_restarts_total",
      help: "Workers that were started to replace one that exited.",
      registers,
    });
    this.#reloads = new ReloadMetrics(registers);
    declareReady(registers, isReady);
    declareBuild(registers);
    const startTime = processMetrics().getSingleMetric("process_start_time_seconds");
    if (startTime !== undefined) this.registry.registerMetric(startTime);
  }

  restarted(): void {
    this.#restarts.inc();
  }

  reloaded(result: "success" | "failure"): void {
    this.#reloads.ended(result);
  }
}
