import type { EndReason } from "../base/outcome.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { RouteSums } from "../observe/metrics.ts";

/** How many ends are remembered; the dashboard shows the last ones, `/metrics` counts all. */
const MAX_ENDS = 100;

/** Seconds of which the totals are remembered: what the dashboard draws. */
const MAX_SAMPLES = 300;

const TICK_MS = 1_000;

/** A tick that comes this late means that the process did nothing else in between. */
const STALL_MS = 1_000;

/** A stream that has ended. */
export interface EndedStream {
  readonly id: string;
  readonly route: string;
  readonly client: string;
  readonly backend: string | undefined;
  readonly reason: EndReason;
  readonly events: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/** The totals of one second. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly streams: number;
  readonly eventsPerSecond: number;
  readonly requestsPerSecond: number;
}

/** What a route has done since the start. */
export interface RouteCounts {
  requests: number;
  /** Answers of 500 and above. */
  failures: number;
  /** Events of streams that have ended. */
  settledEvents: number;
  /** Of the last second. */
  eventsPerSecond: number;
  totalEvents: number;
}

/**
 * What goes through the gateway, as the dashboard shows it: the seconds of the last minutes, what each route
 * has done, the streams that ended last.
 *
 * Counting is a sum for each request that ends. Streams are looked at once a second, and one by one only while
 * somebody watches.
 */
export class Activity {
  readonly startedAt = Date.now();
  readonly #live: () => Iterable<LiveStream>;
  readonly #onStall: (ms: number) => void;
  readonly #routes = new Map<string, RouteCounts>();
  readonly #ends: EndedStream[] = [];
  readonly #samples: Sample[] = [];
  /** Events of each stream at the last two ticks; only while somebody watches. */
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

  /** Oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** Newest first, at most `MAX_ENDS`. */
  get ends(): readonly EndedStream[] {
    return this.#ends;
  }

  /** Those under way; who waits for one to begin is not among them. */
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

  /** Counts a request that has ended, and remembers it if it was a stream. */
  settled(
    request: { readonly route: string; readonly status: number },
    ended: EndedStream | undefined,
  ): void {
    this.#requests++;
    const counts = this.counts(request.route);
    counts.requests++;
    if (request.status >= 500) counts.failures++;
    if (ended === undefined) return;
    counts.settledEvents += ended.events;
    this.#ends.unshift(ended);
    if (this.#ends.length > MAX_ENDS) this.#ends.pop();
  }

  /** Of a route, or of the requests that none matched: the empty name. */
  counts(route: string): RouteCounts {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    const counts = { requests: 0, failures: 0, settledEvents: 0, eventsPerSecond: 0, totalEvents: 0 };
    this.#routes.set(route, counts);
    return counts;
  }

  /** Streams under way and events since the start, by route. */
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

  /** The events of the last second; undefined of a stream that was not yet looked at twice. */
  rateOf(stream: LiveStream): number | undefined {
    return this.#rates.get(stream)?.perSecond;
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
