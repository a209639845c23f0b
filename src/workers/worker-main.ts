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

/** A worker: one gateway in a process of its own, which does what the primary says. */

const DONE = 0;

/** How long a worker that crashed goes on, at most, until another serves in its place. */
const TAKE_OVER_MS = 10_000;

/** How long streams are still looked at one by one after nobody has asked for it. */
const WATCH_MS = 5_000;

// A terminal sends its signals to every process of the group, and the primary is who ends its workers.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});

/** What there is once it has started. */
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
  if (pending === undefined) throw new TypeError("nothing is prepared");
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

/** Has the primary start another worker, which closes this one when that serves, and drains without it after a while. */
async function drainWhenReplaced(gateway: RunningGateway): Promise<void> {
  hasCrashed = true;
  link.tell("crashed", undefined);
  await new Promise<void>((resolve) => {
    takeOver = resolve;
    setTimeout(resolve, TAKE_OVER_MS);
  });
  await gateway.close();
}

/** An error of our own in a callback that belongs to no exchange; before the start there is nowhere to tell it. */
function onFault(err: unknown): void {
  if (started === undefined) return;
  started.gateway.telemetry.onFault();
  started.log.error({ code: "internal_error", err }, "internal error");
}

/** What a stream has of events in a second is known only while somebody watches. */
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

// node:cluster would exit at once when the primary is gone; the streams of this process need not end for that.
if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
process.once("disconnect", () => {
  started?.log.error({ code: "primary_gone" }, "primary gone: draining");
  void close({ now: false });
});
