import type { LiveStream } from "../exchange/live-stream.ts";
import type { Activity } from "../runtime/activity.ts";
import { shownPath } from "../runtime/ended-stream.ts";
import type { EndQuery } from "./ends.ts";

/** The maximum number of streams of one page of the list. */
const MAX_LIMIT = 500;
const DEFAULT_LIMIT = 100;

/** How far the pages of a dashboard reach: each worker would send all streams before a page, once a second. */
const MAX_VIEW_DEPTH = 500;

/** How long, in ms, an event that has begun may still take when an operator ends its stream. */
const EVICTION_GRACE_MS = 5_000;

export const SORTS = ["oldest", "newest", "rate", "bytes", "backlog", "delay"] as const;
type Sort = (typeof SORTS)[number];

/** The query of a page of the list of streams. */
export interface StreamQuery {
  readonly offset: number;
  readonly limit: number;
  readonly sort: Sort;
  /** The route's name; undefined for all routes. */
  readonly route: string | undefined;
}

/** The query of a dashboard. */
export interface ViewQuery extends StreamQuery, EndQuery {}

/** Reads the query of a dashboard; its pages are bounded. */
export function viewQuery(parameters: URLSearchParams): ViewQuery {
  const query = streamQuery(parameters);
  return {
    ...query,
    offset: Math.min(query.offset, Math.max(0, MAX_VIEW_DEPTH - query.limit)),
    endRoute: parameters.get("endRoute") || undefined,
    endReason: parameters.get("endReason") || undefined,
  };
}

/** Reads the query of a list; invalid parameters get their defaults. */
export function streamQuery(parameters: URLSearchParams): StreamQuery {
  const number = (name: string, preset: number) => {
    const text = parameters.get(name) ?? "";
    return /^\d{1,9}$/.test(text) ? Number(text) : preset;
  };
  return {
    offset: number("offset", 0),
    limit: Math.min(Math.max(number("limit", DEFAULT_LIMIT), 1), MAX_LIMIT),
    sort: SORTS.find((sort) => sort === parameters.get("sort")) ?? "oldest",
    route: parameters.get("route") || undefined,
  };
}

/** Returns one page of the streams under way. */
export function listStreams(activity: Activity, query: StreamQuery) {
  const found = [...activity.streams()].filter(
    ({ exchange }) => query.route === undefined || exchange.route?.config.name === query.route,
  );
  const streams = inOrder(found, query.sort, activity);
  // The list may have become shorter since the page was shown.
  const lastPage = Math.max(0, Math.ceil(streams.length / query.limit) - 1) * query.limit;
  const offset = Math.min(query.offset, lastPage);
  return {
    total: streams.length,
    offset,
    limit: query.limit,
    streams: streams.slice(offset, offset + query.limit).map((stream) => describe(stream, activity)),
  };
}

/** A page of streams, and their total number. */
export type StreamPage = ReturnType<typeof listStreams>;

/**
 * Ends the streams of a request id between two events, or aborts them after 5 s; at once if the client would not
 * reconnect. Returns false if there are none.
 */
export function endStreams(activity: Activity, id: string): boolean {
  const found = [...activity.streams()].filter(({ exchange }) => exchange.id === id);
  for (const stream of found) {
    stream.endAtBoundary("evicted");
    setTimeout(() => stream.abort("evicted"), EVICTION_GRACE_MS).unref();
  }
  return found.length > 0;
}

/** Returns the number by which a list is sorted, largest first. */
function sortKey(
  stream: LiveStream,
  sort: "rate" | "bytes" | "backlog" | "delay",
  activity: Activity,
): number {
  const { account } = stream.exchange;
  switch (sort) {
    case "rate":
      return activity.rateOf(stream) ?? -1;
    case "bytes":
      return account.bytesSent;
    case "backlog":
      return stream.pendingBytes;
    case "delay":
      // A stream that still waits for its first event waits at least as long as it is open.
      return account.firstEventMs ?? account.ageMs;
  }
}

/** Sorts the streams, which are in the order in which they began. */
function inOrder(streams: LiveStream[], sort: Sort, activity: Activity): LiveStream[] {
  if (sort === "oldest") return streams;
  if (sort === "newest") return streams.reverse();
  // Computed once for each stream: sorting compares each of them many times.
  return streams
    .map((stream) => ({ stream, key: sortKey(stream, sort, activity) }))
    .sort((a, b) => b.key - a.key)
    .map(({ stream }) => stream);
}

function describe(stream: LiveStream, activity: Activity) {
  const { exchange } = stream;
  const { account } = exchange;
  return {
    id: exchange.id,
    route: exchange.route?.config.name ?? "",
    path: shownPath(exchange),
    client: exchange.client.address,
    app: exchange.principal?.app,
    backend: exchange.backend,
    ageMs: account.elapsedMs(),
    firstEventMs: account.firstEventMs,
    events: account.events,
    eventsPerSecond: activity.rateOf(stream),
    bytes: account.bytesSent,
    pendingBytes: stream.pendingBytes,
  };
}
