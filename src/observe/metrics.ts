import { Counter, Gauge, Registry } from "prom-client";
import type { EndReason } from "../base/outcome.ts";
import type { ListenConfig } from "../config/listen-schema.ts";
import { AnswerMetrics, type RouteAnswers } from "./answer-metrics.ts";
import { type BackendCounts, type BackendUp, declareBackends } from "./backend-metrics.ts";
import { declareCertificates } from "./certificate-metrics.ts";
import { declareBuild, declareReady, internalErrorCounter, ReloadMetrics } from "./common-metrics.ts";
import { ConnectionMetrics } from "./connection-metrics.ts";
import { LimitMetrics } from "./limit-metrics.ts";
import { LlmMetrics } from "./llm-metrics.ts";
import { declareRedis, type RedisState } from "./redis-metrics.ts";
import { RequestMetrics, type RouteBytes } from "./request-metrics.ts";
import { RouteHistogram } from "./route-histogram.ts";
import { declareTraces, type SpanCounts } from "./trace-metrics.ts";

/** Buckets in seconds, from 1 ms, the time of a cached response, to the minute after which proxies time out. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Buckets in seconds, from a reconnect loop to a stream of a day. */
const STREAM_BUCKETS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];

/** An ordinary request that has ended, or a stream. */
export interface Settled {
  /** The route's name; empty when none matched. */
  readonly route: string;
  readonly status: number;
  /** Undefined if the duration says nothing about response times, as that of a tunnel. */
  readonly seconds: number | undefined;
  /** Undefined if it was no stream. */
  readonly stream: SettledStream | undefined;
}

export interface SettledStream {
  readonly reason: EndReason;
  /** The time until the first event was relayed; undefined without an event. */
  readonly firstEventSeconds: number | undefined;
}

/** The sums over the streams of a route. */
export interface RouteSums {
  /** Streams under way. */
  readonly streams: number;
  /** Streams under way that share a backend stream. */
  readonly subscribers: number;
  /** Events relayed so far, also by streams that have ended. */
  readonly events: number;
}

/** One metric as prom-client gives it. */
export interface MetricValues {
  readonly name: string;
  readonly type: unknown;
  readonly values: readonly { readonly value: number; readonly labels: object }[];
}

/** The sources of metrics that are read at each scrape and not counted. */
export interface MetricSources {
  readonly routes: () => Iterable<string>;
  readonly byRoute: () => ReadonlyMap<string, RouteSums>;
  readonly backends: () => Iterable<BackendUp>;
  readonly records: () => Iterable<BackendCounts>;
  readonly isReady: () => boolean;
  readonly answers: () => Iterable<RouteAnswers>;
  readonly bytes: () => Iterable<RouteBytes>;
  readonly listen: () => readonly ListenConfig[];
  /** The memory, in bytes, of the histories of shared streams. */
  readonly historyBytes: () => number;
  /** The state of the Redis that instances share; undefined without Redis. */
  readonly redis: () => RedisState | undefined;
  readonly spans: () => SpanCounts;
}

/**
 * The metrics of one gateway.
 *
 * No label comes from a client: the configuration names routes and backends, and a request that matches no route has an
 * empty label. A scan of a million paths therefore adds no series.
 */
export class Metrics {
  /** The metrics of answers of language models. */
  readonly llm: LlmMetrics;
  /** Counts named answers. */
  readonly answers: AnswerMetrics;
  /** Counts the connections of clients. */
  readonly connections: ConnectionMetrics;
  /** Counts the decisions of limits. */
  readonly limits: LimitMetrics;
  /** Counts requests and their bytes. */
  readonly requests: RequestMetrics;
  readonly #registry = new Registry();
  readonly #sources: MetricSources;
  readonly #requestDuration: RouteHistogram;
  readonly #streamDuration: RouteHistogram;
  readonly #firstEvent: RouteHistogram;
  readonly #streamEnds: Counter<"route" | "reason">;
  readonly #reloads: ReloadMetrics;
  readonly #stalls: Counter;
  readonly #outOfFiles: Counter;
  readonly #outOfMemory: Counter;
  readonly #internalErrors: Counter;

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const register = this.#registry;
    const registers = [register];
    this.requests = new RequestMetrics(registers, sources.bytes);
    this.#requestDuration = new RouteHistogram({
      name: "sluice_request_duration_seconds",
      help: "Time from a request's head to the end of its response, without streams.",
      buckets: REQUEST_BUCKETS,
      register,
    });
    this.#streamDuration = new RouteHistogram({
      name: "sluice_stream_duration_seconds",
      help: "Duration of streams that have ended.",
      buckets: STREAM_BUCKETS,
      register,
    });
    this.#firstEvent = new RouteHistogram({
      name: "sluice_stream_first_event_seconds",
      help: "Time from a stream's request to its first event, of streams that have ended.",
      buckets: REQUEST_BUCKETS,
      register,
    });
    this.#streamEnds = new Counter({
      name: "sluice_stream_end_total",
      help: "Streams that have ended, by reason.",
      labelNames: ["route", "reason"],
      registers,
    });
    this.#reloads = new ReloadMetrics(registers);
    this.#stalls = new Counter({
      name: "sluice_event_loop_stalls_total",
      help: "Times that the event loop stood still for more than a second.",
      registers,
    });
    this.#outOfFiles = new Counter({
      name: "sluice_out_of_files_total",
      help: "Times that no file descriptor was left, so that new connections were refused.",
      registers,
    });
    this.#outOfMemory = new Counter({
      name: "sluice_out_of_memory_total",
      help: "Times that the heap was nearly full, so that further streams were refused.",
      registers,
    });
    this.#internalErrors = internalErrorCounter(registers);
    this.llm = new LlmMetrics(register);
    this.#declareStreams(registers);
    this.#declareStates(registers);
    this.answers = new AnswerMetrics(registers, sources.answers);
    this.connections = new ConnectionMetrics(registers);
    this.limits = new LimitMetrics(registers);
    declareCertificates(registers, sources.listen);
    if (sources.redis() !== undefined) declareRedis(registers, sources.redis);
    declareTraces(registers, sources.spans);
  }

  /** Counts a fault. */
  faulted(): void {
    this.#internalErrors.inc();
  }

  /** Counts a request that has ended. */
  settled({ route, status, seconds, stream }: Settled): void {
    this.requests.ended(route, status);
    if (stream === undefined) {
      if (seconds !== undefined) this.#requestDuration.observe(route, seconds);
      return;
    }
    if (seconds !== undefined) this.#streamDuration.observe(route, seconds);
    this.#streamEnds.inc({ route, reason: stream.reason });
    if (stream.firstEventSeconds !== undefined) this.#firstEvent.observe(route, stream.firstEventSeconds);
  }

  reloaded(result: "success" | "failure"): void {
    this.#reloads.ended(result);
  }

  stalled(): void {
    this.#stalls.inc();
  }

  outOfFiles(): void {
    this.#outOfFiles.inc();
  }

  outOfMemory(): void {
    this.#outOfMemory.inc();
  }

  /** Returns all metrics and those of `others`, in the text format of Prometheus. */
  text(others: Registry): Promise<string> {
    return Registry.merge([this.#registry, others]).metrics();
  }

  /** Returns the metrics as values, for a process that adds up the metrics of several processes. */
  values(...others: readonly Registry[]): Promise<readonly MetricValues[]> {
    return Registry.merge([this.#registry, ...others]).getMetricsAsJSON();
  }

  /** The streams are summed at each scrape, so that an event costs one addition. */
  #declareStreams(registers: Registry[]): void {
    const sources = this.#sources;
    new Gauge({
      name: "sluice_streams_active",
      help: "Streams under way.",
      labelNames: ["route"],
      registers,
      collect() {
        this.reset();
        for (const route of sources.routes()) this.set({ route }, 0);
        for (const [route, { streams }] of sources.byRoute()) this.set({ route }, streams);
      },
    });
    new Counter({
      name: "sluice_stream_events_total",
      help: "Events relayed to clients, of streams under way and of streams that have ended.",
      labelNames: ["route"],
      registers,
      collect() {
        this.reset();
        const sums = sources.byRoute();
        for (const route of sources.routes()) if (!sums.has(route)) this.inc({ route }, 0);
        for (const [route, { events }] of sums) this.inc({ route }, events);
      },
    });
    new Gauge({
      name: "sluice_shared_subscribers",
      help: "Clients of shared streams.",
      labelNames: ["route"],
      registers,
      collect() {
        this.reset();
        for (const [route, { subscribers }] of sources.byRoute()) this.set({ route }, subscribers);
      },
    });
  }

  #declareStates(registers: Registry[]): void {
    const sources = this.#sources;
    declareBackends(this.#registry, sources);
    new Gauge({
      name: "sluice_history_bytes",
      help: "Memory of the histories of shared streams and named answers; limits.historyBytes bounds it.",
      registers,
      collect() {
        this.set(sources.historyBytes());
      },
    });
    declareReady(registers, sources.isReady);
    declareBuild(registers);
  }
}
