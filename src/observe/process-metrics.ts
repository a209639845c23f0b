import { readdirSync } from "node:fs";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** How often the lag of the event loop is looked at: ten times as often, an idle process used 8 ms of each second. */
const LAG_LOOK_MS = 100;

let shared: Registry | undefined;

/**
 * The metrics of this process, for all of its gateways: memory, CPU, event-loop lag, open files.
 *
 * They are made when first asked for, since each set would start its own probe of the event loop. At the limit
 * of open files some of them cannot be read and keep their last value; the count of open files says then that
 * all are in use, because that is the moment to be told.
 */
export function processMetrics(): Registry {
  if (shared !== undefined) return shared;
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LAG_LOOK_MS });
  shared = register;
  // Only where the system tells.
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

/** The files that this process has open. */
function openFiles(): number | "all" {
  try {
    // Less the one with which they are counted.
    return readdirSync("/proc/self/fd").length - 1;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EMFILE" ? "all" : 0;
  }
}

async function limitOf(register: Registry): Promise<number> {
  const { values = [] } = (await register.getSingleMetric("process_max_fds")?.get()) ?? {};
  return values[0]?.value ?? 0;
}
