import { Counter, Gauge, type Registry } from "prom-client";
import { version } from "../base/version.ts";

/** The results of reloads, for a gateway of one process and for the primary of workers. The start is a success. */
export class ReloadMetrics {
  readonly #reloads: Counter<"result">;
  readonly #isSuccessful: Gauge;
  readonly #succeededAt: Gauge;

  constructor(registers: Registry[]) {
    this.#reloads = new Counter({
      name: "sluice_config_reloads_total",
      help: "Reloads of the configuration, by result; a failure has changed nothing.",
      labelNames: ["result"] as const,
      registers,
    });
    for (const result of ["success", "failure"] as const) this.#reloads.inc({ result }, 0);
    this.#isSuccessful = new Gauge({
      name: "sluice_config_last_reload_successful",
      help: "1 if the last reload, or the start, has applied its configuration; 0 if it was rejected.",
      registers,
    });
    this.#succeededAt = new Gauge({
      name: "sluice_config_last_reload_success_timestamp_seconds",
      help: "When the present configuration was applied, in seconds since 1970.",
      registers,
    });
    this.#note("success");
  }

  /** Counts a reload. */
  ended(result: "success" | "failure"): void {
    this.#reloads.inc({ result });
    this.#note(result);
  }

  #note(result: "success" | "failure"): void {
    this.#isSuccessful.set(result === "success" ? 1 : 0);
    if (result === "success") this.#succeededAt.setToCurrentTime();
  }
}

/** Declares the versions of sluice and of Node as labels of a constant, as Prometheus' own programs do. */
export function declareBuild(registers: Registry[]): void {
  const build = new Gauge({
    name: "sluice_build_info",
    help: "1, with the versions of sluice and Node as labels.",
    labelNames: ["version", "node"],
    // All processes of a gateway have the same versions.
    aggregator: "first",
    registers,
  });
  build.set({ version: version(), node: process.versions.node }, 1);
}

/** Creates the counter of faults, each of which ended one exchange or one callback, and not the process. */
export function internalErrorCounter(registers: Registry[]): Counter {
  return new Counter({
    name: "sluice_internal_errors_total",
    help: "Internal errors, each of which ended one exchange or one callback, and not the process.",
    registers,
  });
}

/** Declares the readiness that `/readyz` reports, read at each scrape: of one process, or of all workers. */
export function declareReady(registers: Registry[], isReady: () => boolean): void {
  new Gauge({
    name: "sluice_ready",
    help: "1 if /readyz reports ready, else 0.",
    registers,
    collect() {
      this.set(isReady() ? 1 : 0);
    },
  });
}
