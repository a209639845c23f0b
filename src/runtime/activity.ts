import type { EndReason } from "../base/outcome.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { RouteSums } from "../observe/metrics.ts";
import type { RouteBytes } from "../observe/request-metrics.ts";
import type { EndedStream } from "./ended-stream.ts";

/**
 * The maximum number of ended streams that are kept of each end reason: thousands of clients that leave must not hide
 * the few streams that have failed.
 */
const MAX_ENDS = 100;

/** The maximum number of samples that are kept, one a second, for the chart of the dashboard. */
const MAX_SAMPLES = 300;

const TICK_MS = 1_000;

/** The delay of a tick, in ms, that counts as a stall: the event loop did not run in between. */
const STALL_MS = 1_000;

/** The numbers of ended streams by reason. */
export type EndCounts = Readonly<Partial<Record<EndReason, number>>>;

/** The totals of one second. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly streams: number;
  readonly eventsPerSecond: number;
  readonly requestsPerSecond: number;
}

/** The counts of a route since the start. */
export interface RouteCounts {
  requests: number;
  /** Responses with a status of 500 or above. */
  failures: number;
  /** Events of streams that have ended. */
  settledEvents: number;
  /** The streams that have ended, by reason. */
  readonly ends: Map<EndReason, number>;
  /** Body bytes of streams that have ended, of other responses, and of requests. */
  streamBytes: number;
  otherBytes: number;
  receivedBytes: number;
  /** The rate of the last second. */
  eventsPerSecond: number;
  /** The events of all streams up to the last tick. */
  totalEvents: number;
}

/** A request that has ended, streams included. */
export interface EndedRequest {
  readonly route: string;
  readonly status: number;
  /** Body bytes. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

const noCounts = (): RouteCounts => ({
  requests: 0,
  failures: 0,
  settledEvents: 0,
  ends: new Map(),
  streamBytes: 0,
  otherBytes: 0,
  receivedBytes: 0,
  eventsPerSecond: 0,
  totalEvents: 0,
});

/**
 * The activity of a gateway, as the dashboard shows it: a sample for each second of the last minutes, the counts of
 * each route, and the streams that ended last.
 *
 * A request costs one addition when it ends. Streams are summed once a second, and looked at one by one only while a
 * dashboard is open.
 */
export class Activity {
  readonly startedAt = Date.now();
  readonly #live: () => Iterable<LiveStream>;
  readonly #onStall: (ms: number) => void;
  readonly #routes = new Map<string, RouteCounts>();
  /** The streams that ended last, of each reason; newest first. */
  readonly #ends = new Map<EndReason, EndedStream[]>();
  readonly #samples: Sample[] = [];
  /** Events of each stream at the last two ticks; only while a dashboard is open. */
  #rates = new WeakMap<LiveStream, { events: number; perSecond: number | undefined }>();
  readonly #watchers = new Set<() => void>();
  #requests = 0;
  #sampledRequests = 0;
  #tickedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(live: () => Iterable<LiveStream>, onStall: (ms: number) => void) {
    this.#live = live;
    this.#onStall = onStall;
  }

  /** The samples, oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** The streams that ended last, at most `MAX_ENDS` of each reason; in no order. */
  get ends(): readonly EndedStream[] {
    return [...this.#ends.values()].flat();
  }

  /** Returns the number of ended streams by reason, of one route or of all. */
  endCounts(route: string | undefined): EndCounts {
    const counts: Partial<Record<EndReason, number>> = {};
    for (const [name, { ends }] of this.#routes) {
      if (route !== undefined && route !== name) continue;
      for (const [reason, count] of ends) counts[reason] = (counts[reason] ?? 0) + count;
    }
    return counts;
  }

  /** The streams under way, without the clients that wait for a shared stream to begin. */
  *streams(): Iterable<LiveStream> {
    for (const stream of this.#live()) if (stream.exchange.account.isStream) yield stream;
  }

  /** Looks at the streams once a second, until `stop`. */
  start(): void {
    this.#tickedAt = performance.now();
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Calls back after each look at the streams, until the returned function is called. */
  watch(onTick: () => void): () => void {
    if (this.#watchers.size === 0) this.#rates = new WeakMap();
    this.#watchers.add(onTick);
    return () => this.#watchers.delete(onTick);
  }

  /** Counts a request that has ended, and keeps it if it was a stream. */
  settled(request: EndedRequest, ended: EndedStream | undefined): void {
    this.#requests++;
    const counts = this.counts(request.route);
    counts.requests++;
    if (request.status >= 500) counts.failures++;
    counts.receivedBytes += request.receivedBytes;
    if (ended === undefined) {
      counts.otherBytes += request.sentBytes;
      return;
    }
    counts.settledEvents += ended.events;
    counts.streamBytes += ended.bytes;
    counts.ends.set(ended.reason, (counts.ends.get(ended.reason) ?? 0) + 1);
    this.#keep(ended);
  }

  /** Returns the counts of a route; those of requests without a route have the empty name. */
  counts(route: string): RouteCounts {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    const counts = noCounts();
    this.#routes.set(route, counts);
    return counts;
  }

  /** Returns the streams under way and the events since the start, by route. */
  byRoute(): ReadonlyMap<string, RouteSums> {
    const sums = new Map<string, { streams: number; subscribers: number; events: number }>();
    for (const [route, { settledEvents }] of this.#routes)
      sums.set(route, { streams: 0, subscribers: 0, events: settledEvents });
    for (const { exchange, isShared } of this.streams()) {
      const route = exchange.route?.config.name ?? "";
      const sum = sums.get(route) ?? { streams: 0, subscribers: 0, events: 0 };
      sum.streams++;
      if (isShared) sum.subscribers++;
      sum.events += exchange.account.events ?? 0;
      sums.set(route, sum);
    }
    return sums;
  }

  /** Returns the bytes since the start, by route. */
  bytes(): Iterable<RouteBytes> {
    const sums = new Map<string, { -readonly [Key in keyof RouteBytes]: RouteBytes[Key] }>();
    for (const [route, { streamBytes, otherBytes, receivedBytes }] of this.#routes)
      sums.set(route, { route, streamBytes, otherBytes, receivedBytes });
    for (const { exchange } of this.streams()) {
      const route = exchange.route?.config.name ?? "";
      const sum = sums.get(route) ?? { route, streamBytes: 0, otherBytes: 0, receivedBytes: 0 };
      sum.streamBytes += exchange.account.bytesSent;
      sums.set(route, sum);
    }
    return sums.values();
  }

  /** Returns the events of the last second; undefined for a stream that was not yet looked at twice. */
  rateOf(stream: LiveStream): number | undefined {
    return this.#rates.get(stream)?.perSecond;
  }

  #keep(ended: EndedStream): void {
    const kept = this.#ends.get(ended.reason);
    if (kept === undefined) {
      this.#ends.set(ended.reason, [ended]);
      return;
    }
    kept.unshift(ended);
    if (kept.length > MAX_ENDS) kept.pop();
  }

  #tick(): void {
    const now = performance.now();
    const seconds = (now - this.#tickedAt) / 1_000;
    this.#tickedAt = now;
    if (seconds * 1_000 - TICK_MS > STALL_MS) this.#onStall(Math.round(seconds * 1_000 - TICK_MS));
    let streams = 0;
    let eventsPerSecond = 0;
    for (const [route, sum] of this.byRoute()) {
      const counts = this.counts(route);
      counts.eventsPerSecond = Math.max(0, (sum.events - counts.totalEvents) / seconds);
      counts.totalEvents = sum.events;
      streams += sum.streams;
      eventsPerSecond += counts.eventsPerSecond;
    }
    const requestsPerSecond = (this.#requests - this.#sampledRequests) / seconds;
    this.#sampledRequests = this.#requests;
    this.#samples.push({ at: Date.now(), streams, eventsPerSecond, requestsPerSecond });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    if (this.#watchers.size > 0) this.#lookAtEach(seconds);
    for (const onTick of this.#watchers) onTick();
  }

  #lookAtEach(seconds: number): void {
    for (const stream of this.streams()) {
      const events = stream.exchange.account.events ?? 0;
      const before = this.#rates.get(stream);
      if (before === undefined) {
        this.#rates.set(stream, { events, perSecond: undefined });
      } else {
        before.perSecond = (events - before.events) / seconds;
        before.events = events;
      }
    }
  }
}
