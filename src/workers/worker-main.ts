import cluster from "node:cluster";
import { LocalAdminView } from "../admin/admin-view.ts";
import { endStreams, listStreams, type StreamQuery } from "../admin/streams.ts";
import type { Config } from "../config/server-schema.ts";
import { CRASHED, drainOnCrash } from "../gateway/drain-on-crash.ts";
import { drainLimitMs, type PreparedChange, RunningGateway } from "../gateway/gateway.ts";
import { LinkMetrics } from "../observe/link-metrics.ts";
import { createLog, type Log } from "../observe/log.ts";
import { processMetrics } from "../observe/process-metrics.ts";
import { LoopGuard } from "../upstream/loop-guard.ts";
import type { PrimaryCalls, WorkerCalls } from "./calls.ts";
import { LinkFaults } from "./link-faults.ts";
import { PrimaryCounterStore } from "./primary-counter-store.ts";
import { ProcessLink } from "./process-link.ts";
import { PRIMARY_CHECKS, WORKER_CHECKS } from "./schemas.ts";

/** The entry point of a worker: a gateway in its own process, controlled by the primary. */

const DONE = 0;

/** How long a crashed worker serves at most until another worker has replaced it. */
const TAKE_OVER_MS = 10_000;

/** How long streams are observed after the last request for a view. */
const WATCH_MS = 5_000;

// A terminal sends signals to every process of the group, but only the primary may end its workers.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});

/** The parts of a worker that has started. */
interface Started {
  readonly gateway: RunningGateway;
  readonly adminView: LocalAdminView;
  readonly log: Log;
}

let started: Started | undefined;
let prepared: Promise<{ readonly change: PreparedChange; readonly config: Config }> | undefined;
let unwatch: (() => void) | undefined;
let watchTimer: NodeJS.Timeout | undefined;
let hasCrashed = false;
let takeOver: (() => void) | undefined;

const now = (): Started => {
  if (started === undefined) throw new TypeError("the worker has not started");
  return started;
};

async function start({
  config,
  worker,
  loopId,
}: Parameters<WorkerCalls["start"]>[0]): Promise<readonly string[]> {
  const log = createLog(config.server.log);
  const workerLog = log.child({ worker });
  const gateway = new RunningGateway(config, workerLog, counters, new LoopGuard(loopId));
  const limitMs = () => TAKE_OVER_MS + drainLimitMs(config);
  drainOnCrash({ log: workerLog, limitMs, drain: () => drainWhenReplaced(gateway) });
  started = { gateway, adminView: new LocalAdminView(gateway.telemetry), log: workerLog };
  started.adminView.start();
  return await gateway.listen();
}

async function settle(isWanted: boolean): Promise<void> {
  const pending = prepared;
  prepared = undefined;
  if (!isWanted) return void (await pending?.catch(() => undefined))?.change.discard();
  if (pending === undefined) throw new TypeError("no reload is prepared");
  const { change, config } = await pending;
  change.commit();
  now().log.level = config.server.log.level;
  if (typeof config.server.limits.connections === "number") counters.connections.limit();
}

async function close(how: { readonly now: boolean }): Promise<void> {
  takeOver?.();
  await started?.gateway.close(how);
  process.exit(hasCrashed ? CRASHED : DONE);
}

/** Asks the primary for a replacement, which closes this worker once it serves; drains after a while in any case. */
async function drainWhenReplaced(gateway: RunningGateway): Promise<void> {
  hasCrashed = true;
  link.tell("crashed", undefined);
  await new Promise<void>((resolve) => {
    takeOver = resolve;
    setTimeout(resolve, TAKE_OVER_MS);
  });
  await gateway.close();
}

/**
 * Reports an unexpected error in a callback outside of any exchange; before the start there is no log to report it
 * to.
 */
function onFault(err: unknown): void {
  if (started === undefined) return;
  started.gateway.telemetry.onFault();
  started.log.error({ code: "internal_error", err }, "internal error");
}

/** Events per second are measured for each stream only while a view is requested. */
function watch(): void {
  unwatch ??= now().adminView.watch(() => {});
  watchTimer ??= setTimeout(() => {
    unwatch?.();
    unwatch = undefined;
    watchTimer = undefined;
  }, WATCH_MS).unref();
  watchTimer.refresh();
}

const answers: WorkerCalls = {
  start,
  prepare: async (config) => {
    prepared = now()
      .gateway.prepare(config)
      .then((change) => ({ change, config }));
    await prepared;
  },
  commit: () => settle(true),
  discard: () => settle(false),
  close,
  status: () => {
    const { adminView } = now();
    return { sample: adminView.samples.at(-1), obstacles: adminView.readiness.obstacles };
  },
  view: (query) => {
    watch();
    return now().adminView.view(query);
  },
  listStreams: async (query: StreamQuery) => listStreams(now().gateway.telemetry.activity, query),
  endStreams: async (id) => endStreams(now().gateway.telemetry.activity, id),
  metrics: () => now().gateway.telemetry.metrics.values(processMetrics(), linkMetrics.registry),
};

const linkMetrics = new LinkMetrics();
const link = new ProcessLink<PrimaryCalls>(process, {
  answers: { ...answers },
  ours: WORKER_CHECKS,
  theirs: PRIMARY_CHECKS,
  faults: new LinkFaults(linkMetrics, () => started?.log, onFault),
});
const counters = new PrimaryCounterStore(link);
link.tell("up", undefined);

// node:cluster would exit at once when the primary is gone, although this process can serve its streams to their end.
if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
process.once("disconnect", () => {
  started?.log.error({ code: "primary_gone" }, "primary gone: draining");
  void close({ now: false });
});
