import { Counter, Gauge, Registry } from "prom-client";
import type { EndReason } from "../base/outcome.ts";
import { declareReady, internalErrorCounter, reloadCounter } from "./common-metrics.ts";
import { declareRedis, type RedisState } from "./redis-metrics.ts";
import { RouteHistogram } from "./route-histogram.ts";

/** From a millisecond, what a cached answer takes, to the minute after which proxies give up. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a reconnect loop to a stream that lives for a day. */
const STREAM_BUCKETS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];

/** An ordinary request that has ended, or a stream. */
export interface Settled {
  /** The route's name; empty when none matched. */
  readonly route: string;
  readonly status: number;
  /** Undefined for what tells nothing of how fast we answer. */
  readonly seconds: number | undefined;
  /** Undefined for what was no stream. */
  readonly stream: SettledStream | undefined;
}

export interface SettledStream {
  readonly reason: EndReason;
  /** Until the first of them was relayed; undefined without one. */
  readonly firstEventSeconds: number | undefined;
}

/** What the streams of a route come to. */
export interface RouteSums {
  /** Under way. */
  readonly streams: number;
  /** Those of them that share a backend stream. */
  readonly subscribers: number;
  /** Relayed so far, by streams that have ended too. */
  readonly events: number;
}

/** One metric as the library spells it out. */
export interface MetricValues {
  readonly name: string;
  readonly type: unknown;
  readonly values: readonly { readonly value: number; readonly labels: object }[];
}

/** What is read at each scrape instead of being counted on the way. */
export interface MetricSources {
  readonly routes: () => Iterable<string>;
  readonly byRoute: () => ReadonlyMap<string, RouteSums>;
  readonly backends: () => Iterable<{
    readonly route: string;
    readonly backend: string;
    readonly isUp: boolean;
  }>;
  readonly isReady: () => boolean;
  /** What histories of shared streams take of the memory. */
  readonly historyBytes: () => number;
  /** How the Redis stands that instances share; undefined without one. */
  readonly redis: () => RedisState | undefined;
}

/**
 * The metrics of one gateway, each declared here once.
 *
 * No label comes from a client: routes and backends are named by the configuration, and a request that no
 * route matches has an empty one, so that a scan of a million paths leaves the number of series as it was.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricSources;
  /** Requests that have ended, by route and status. */
  readonly #requests = new Map<string, Map<number, number>>();
  readonly #requestDuration: RouteHistogram;
  readonly #streamDuration: RouteHistogram;
  readonly #firstEvent: RouteHistogram;
  readonly #streamEnds: Counter<"route" | "reason">;
  readonly #reloads: Counter<"result">;
  readonly #stalls: Counter;
  readonly #outOfFiles: Counter;
  readonly #outOfMemory: Counter;
  readonly #internalErrors: Counter;

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const register = this.#registry;
    const registers = [register];
    this.#declareRequests(registers);
    this.#requestDuration = new RouteHistogram({
      name: "sluice_request_duration_seconds",
      help: "From a request's head to the end of its response; streams are not among them.",
      buckets: REQUEST_BUCKETS,
      register,
    });
    this.#streamDuration = new RouteHistogram({
      name: "sluice_stream_duration_seconds",
      help: "How long streams lived that have ended.",
      buckets: STREAM_BUCKETS,
      register,
    });
    this.#firstEvent = new RouteHistogram({
      name: "sluice_stream_first_event_seconds",
      help: "From a stream's request to its first event, of streams that have ended.",
      buckets: REQUEST_BUCKETS,
      register,
    });
    this.#streamEnds = new Counter({
      name: "sluice_stream_end_total",
      help: "Streams that have ended, by the reason.",
      labelNames: ["route", "reason"],
      registers,
    });
    this.#reloads = reloadCounter(registers);
    this.#stalls = new Counter({
      name: "sluice_event_loop_stalls_total",
      help: "Times that the process did nothing else for more than a second.",
      registers,
    });
    this.#outOfFiles = new Counter({
      name: "sluice_out_of_files_total",
      help: "Times that no file was left to open, so that new connections were refused.",
      registers,
    });
    this.#outOfMemory = new Counter({
      name: "sluice_out_of_memory_total",
      help: "Times that the heap was nearly full, so that further streams were refused.",
      registers,
    });
    this.#internalErrors = internalErrorCounter(registers);
    this.#declareStreams(registers);
    this.#declareStates(registers);
    if (sources.redis() !== undefined) declareRedis(registers, sources.redis);
  }

  /** Counts an error that no code expected. */
  faulted(): void {
    this.#internalErrors.inc();
  }

  /** Counts a request that has ended. */
  settled({ route, status, seconds, stream }: Settled): void {
    this.#count(route, status);
    if (stream === undefined) {
      if (seconds !== undefined) this.#requestDuration.observe(route, seconds);
      return;
    }
    if (seconds !== undefined) this.#streamDuration.observe(route, seconds);
    this.#streamEnds.inc({ route, reason: stream.reason });
    if (stream.firstEventSeconds !== undefined) this.#firstEvent.observe(route, stream.firstEventSeconds);
  }

  reloaded(result: "success" | "failure"): void {
    this.#reloads.inc({ result });
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

  /** All of them and those of `others`, in the text format of Prometheus. */
  text(others: Registry): Promise<string> {
    return Registry.merge([this.#registry, others]).metrics();
  }

  /** The same as plain values, for a process that adds up those of several. */
  values(...others: readonly Registry[]): Promise<readonly MetricValues[]> {
    return Registry.merge([this.#registry, ...others]).getMetricsAsJSON();
  }

  #count(route: string, status: number): void {
    let counts = this.#requests.get(route);
    if (counts === undefined) {
      counts = new Map();
      this.#requests.set(route, counts);
    }
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }

  #declareRequests(registers: Registry[]): void {
    const requests = this.#requests;
    new Counter({
      name: "sluice_requests_total",
      help: "Requests that have ended, streams included.",
      labelNames: ["route", "status"],
      registers,
      collect() {
        this.reset();
        for (const [route, counts] of requests)
          for (const [status, count] of counts) this.inc({ route, status }, count);
      },
    });
  }

  /** What streams tell is summed up at each scrape, so that an event costs nothing but its own count. */
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
      help: "Event blocks relayed to clients, of streams under way and of those that have ended.",
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
    new Gauge({
      name: "sluice_backend_up",
      help: "Whether a backend gets requests: 1, or 0 while checks or failures keep it out.",
      labelNames: ["route", "backend"],
      // Of several processes: as well as the worst of them finds it.
      aggregator: "min",
      registers,
      collect() {
        this.reset();
        for (const { route, backend, isUp } of sources.backends()) this.set({ route, backend }, isUp ? 1 : 0);
      },
    });
    new Gauge({
      name: "sluice_history_bytes",
      help: "Memory that histories of shared streams take, of limits.historyBytes.",
      registers,
      collect() {
        this.set(sources.historyBytes());
      },
    });
    declareReady(registers, sources.isReady);
  }
}
