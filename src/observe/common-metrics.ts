import { Counter, Gauge, type Registry } from "prom-client";

/** Creates the counter of reloads by result, for a gateway of one process and for the primary of workers. */
export function reloadCounter(registers: Registry[]): Counter<"result"> {
  const reloads = new Counter({
    name: "sluice_config_reloads_total",
    help: "Reloads of the configuration, by result; a failure has changed nothing.",
    labelNames: ["result"] as const,
    registers,
  });
  for (const result of ["success", "failure"] as const) reloads.inc({ result }, 0);
  return reloads;
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
