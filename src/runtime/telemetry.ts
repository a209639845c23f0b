import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { ListenConfig } from "../config/listen-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { Log } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { RedisState } from "../observe/redis-metrics.ts";
import type { SpanCounts } from "../observe/trace-metrics.ts";
import { Activity } from "./activity.ts";
import { backendRecords, backendStates, isUp } from "./backend-states.ts";
import { endedStream } from "./ended-stream.ts";
import { Failures } from "./failures.ts";
import { Incidents } from "./incidents.ts";
import { Readiness } from "./readiness.ts";
import { NO_RELOADS, type Reloads, withReload } from "./reloads.ts";
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
  readonly listen: () => readonly ListenConfig[];
  readonly spans: () => SpanCounts;
  /** `redis.required`. */
  readonly needsStore: boolean;
}

/** The metrics, the activity and the readiness of a gateway. */
export class Telemetry {
  readonly readiness: Readiness;
  readonly activity: Activity;
  readonly failures = new Failures();
  readonly incidents = new Incidents();
  readonly metrics: Metrics;
  readonly routes: () => Iterable<RuntimeRoute>;
  #reloads = NO_RELOADS;

  constructor({ log, streams, routes, historyBytes, redis, listen, spans, needsStore }: TelemetrySources) {
    this.readiness = new Readiness(needsStore);
    this.routes = routes;
    this.activity = new Activity(streams, (stalledMs) => {
      this.metrics.stalled();
      this.incidents.note("stall");
      log.warn({ stalledMs }, "event loop stalled");
    });
    this.metrics = new Metrics({
      routes: () => [...routes()].map(({ config }) => config.name),
      byRoute: () => this.activity.byRoute(),
      bytes: () => this.activity.bytes(),
      backends: () => backendStates(routes()).map((state) => ({ ...state, isUp: isUp(state) })),
      records: () => backendRecords(routes()),
      isReady: () => this.readiness.isReady,
      answers: () => [...routes()].flatMap((route) => answersOf(route).map(({ counts }) => counts)),
      historyBytes,
      redis,
      listen,
      spans,
    });
  }

  /** The results of the reloads. */
  get reloads(): Reloads {
    return this.#reloads;
  }

  /** Notes the result of a reload; `problems` say why it failed. */
  reloaded(result: "success" | "failure", problems?: readonly string[]): void {
    this.#reloads = withReload(this.#reloads, result, problems);
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
    this.incidents.note("internal_error");
  }

  /** Counts an exchange that has ended. */
  onSettled(exchange: Exchange, reason: EndReason): void {
    const route = exchange.route?.config.name ?? "";
    const { status, isStream, firstEventMs, ageMs: durationMs, error } = exchange.account;
    if (error !== undefined) this.#onError(route, error);
    this.failures.note(exchange);
    this.metrics.settled({
      route,
      status,
      seconds: status === SWITCHING_PROTOCOLS ? undefined : durationMs / 1_000,
      stream: isStream ? { reason, firstEventSeconds: firstEventMs && firstEventMs / 1_000 } : undefined,
    });
    const { bytesSent: sentBytes, bytesReceived: receivedBytes } = exchange.account;
    this.activity.settled(
      { route, status, sentBytes, receivedBytes },
      isStream ? endedStream(exchange, reason, durationMs) : undefined,
    );
  }

  #onError(route: string, error: unknown): void {
    const code = error instanceof ProxyError ? error.code : "internal_error";
    if (code === "internal_error") this.onFault();
    this.metrics.requests.failed(route, code);
  }
}
