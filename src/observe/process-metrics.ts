import { readdirSync } from "node:fs";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** The interval of the measurement of event-loop lag, in ms: at 10 ms an idle process used 8 ms of each second. */
const LAG_LOOK_MS = 100;

let shared: Registry | undefined;

/**
 * Returns the metrics of this process, for all of its gateways: memory, CPU, event-loop lag, open files.
 *
 * They are created at the first call, once: each set would start its own measurement of the event loop. At the limit of
 * open files some of them cannot be read and keep their last value. The number of open files cannot be counted then,
 * and is reported as the limit, because an operator needs it at that moment.
 */
export function processMetrics(): Registry {
  if (shared !== undefined) return shared;
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LAG_LOOK_MS });
  shared = register;
  // Gauges must not end in `_total`, by Prometheus' conventions. `sum` over the gauges by type gives the same number.
  for (const kind of ["handles", "requests", "resources"])
    register.removeSingleMetric(`nodejs_active_${kind}_total`);
  // Only on systems that report it.
  if (register.getSingleMetric("process_open_fds") === undefined) return register;
  register.removeSingleMetric("process_open_fds");
  new Gauge({
    name: "process_open_fds",
    help: "Number of open file descriptors.",
    registers: [register],
    async collect() {
      const count = openFiles();
      this.set(count === "all" ? await limitOf(register) : count);
    },
  });
  return register;
}

/** Returns the number of files that this process has open, or `all` at the limit. */
function openFiles(): number | "all" {
  try {
    // Less the file descriptor of this reading itself.
    return readdirSync("/proc/self/fd").length - 1;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EMFILE" ? "all" : 0;
  }
}

async function limitOf(register: Registry): Promise<number> {
  const { values = [] } = (await register.getSingleMetric("process_max_fds")?.get()) ?? {};
  return values[0]?.value ?? 0;
}
