import { Counter, Gauge, type Registry } from "prom-client";

/** Reloads by their result, as a gateway of one process counts them and the process that has workers. */
export function reloadCounter(registers: Registry[]): Counter<"result"> {
  const reloads = new Counter({
    name: "sluice_config_reloads_total",
    help: "Reloads of the configuration; a failure has changed nothing.",
    labelNames: ["result"] as const,
    registers,
  });
  for (const result of ["success", "failure"] as const) reloads.inc({ result }, 0);
  return reloads;
}

/** Errors of our own, each of which ended one exchange or one callback, and not the process. */
export function internalErrorCounter(registers: Registry[]): Counter {
  return new Counter({
    name: "sluice_internal_errors_total",
    help: "Errors of the gateway's own that ended one exchange, or one callback, and not the process.",
    registers,
  });
}

/** Whether `/readyz` says yes, asked at each scrape: of one process, or of all workers. */
export function declareReady(registers: Registry[], isReady: () => boolean): void {
  new Gauge({
    name: "sluice_ready",
    help: "What /readyz says: 1 for ready.",
    registers,
    collect() {
      this.set(isReady() ? 1 : 0);
    },
  });
}
