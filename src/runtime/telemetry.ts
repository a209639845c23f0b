import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { Log } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { RedisState } from "../observe/redis-metrics.ts";
import { Activity, type EndedStream } from "./activity.ts";
import { backendRecords, backendStates, isUp } from "./backend-states.ts";
import { Readiness } from "./readiness.ts";
import { answersOf, type RuntimeRoute } from "./runtime-route.ts";

/** The status of a tunnel, whose duration says nothing about response times. */
const SWITCHING_PROTOCOLS = 101;

/** The sources of the telemetry; read each time, because a reload changes them. */
export interface TelemetrySources {
  readonly log: Log;
  readonly streams: () => Iterable<LiveStream>;
  readonly routes: () => Iterable<RuntimeRoute>;
  readonly historyBytes: () => number;
  readonly redis: () => RedisState | undefined;
  /** `redis.required`. */
  readonly needsStore: boolean;
}

/** The results of the reloads of the configuration. */
export interface Reloads {
  readonly succeeded: number;
  readonly failed: number;
  /** `at` in milliseconds since 1970. */
  readonly last: { readonly result: "success" | "failure"; readonly at: number } | undefined;
}

/** The results before the first reload. */
export const NO_RELOADS: Reloads = { succeeded: 0, failed: 0, last: undefined };

/** Returns the results with one more, at the present time. */
export function withReload({ succeeded, failed }: Reloads, result: "success" | "failure"): Reloads {
  const last = { result, at: Date.now() };
  return result === "success"
    ? { succeeded: succeeded + 1, failed, last }
    : { succeeded, failed: failed + 1, last };
}

/** The metrics, the activity and the readiness of a gateway. */
export class Telemetry {
  readonly readiness: Readiness;
  readonly activity: Activity;
  readonly metrics: Metrics;
  readonly routes: () => Iterable<RuntimeRoute>;
  #reloads = NO_RELOADS;

  constructor({ log, streams, routes, historyBytes, redis, needsStore }: TelemetrySources) {
    this.readiness = new Readiness(needsStore);
    this.routes = routes;
    this.activity = new Activity(streams, (stalledMs) => {
      this.metrics.stalled();
      log.warn({ stalledMs }, "event loop stalled");
    });
    this.metrics = new Metrics({
      routes: () => [...routes()].map(({ config }) => config.name),
      byRoute: () => this.activity.byRoute(),
      backends: () => backendStates(routes()).map((state) => ({ ...state, isUp: isUp(state) })),
      records: () => backendRecords(routes()),
      isReady: () => this.readiness.isReady,
      answers: () => [...routes()].flatMap((route) => answersOf(route).map(({ counts }) => counts)),
      historyBytes,
      redis,
    });
  }

  /** The results of the reloads. */
  get reloads(): Reloads {
    return this.#reloads;
  }

  /** Notes the result of a reload. */
  reloaded(result: "success" | "failure"): void {
    this.#reloads = withReload(this.#reloads, result);
    this.metrics.reloaded(result);
  }

  /** Notes that the process has no file descriptor left, or has some again. */
  outOfFiles(isOut: boolean): void {
    this.readiness.set("out_of_files", isOut);
    if (isOut) this.metrics.outOfFiles();
  }

  /** Notes that the heap is nearly full, or has room again. */
  outOfMemory(isOut: boolean): void {
    this.readiness.set("out_of_memory", isOut);
    if (isOut) this.metrics.outOfMemory();
  }

  /** Counts an error that no code expected. */
  onFault(): void {
    this.metrics.faulted();
  }

  /** Counts an exchange that has ended. */
  onSettled(exchange: Exchange, reason: EndReason): void {
    const route = exchange.route?.config.name ?? "";
    const { status, isStream, firstEventMs, ageMs: durationMs, isFaulty } = exchange.account;
    if (isFaulty) this.metrics.faulted();
    this.metrics.settled({
      route,
      status,
      seconds: status === SWITCHING_PROTOCOLS ? undefined : durationMs / 1_000,
      stream: isStream ? { reason, firstEventSeconds: firstEventMs && firstEventMs / 1_000 } : undefined,
    });
    this.activity.settled(
      { route, status },
      isStream ? endedStream(exchange, reason, durationMs) : undefined,
    );
  }
}

function endedStream(exchange: Exchange, reason: EndReason, durationMs: number): EndedStream {
  return {
    id: exchange.id,
    route: exchange.route?.config.name ?? "",
    client: exchange.client.address,
    backend: exchange.backend,
    reason,
    events: exchange.account.events ?? 0,
    bytes: exchange.account.bytesSent,
    durationMs: Math.round(durationMs),
    endedAt: Date.now(),
  };
}
