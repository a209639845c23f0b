import type { View } from "../admin/admin-view.ts";
import { listEnds } from "../admin/ends.ts";
import { mostFailures, type Overview } from "../admin/overview.ts";
import type { StreamPage, StreamQuery, ViewQuery } from "../admin/streams.ts";
import { isUp, worse, worstFirst } from "../runtime/backend-states.ts";
import { type FailureRow, failureKey } from "../runtime/failures.ts";

type Route = Overview["routes"][number];
type Answers = NonNullable<Route["answers"]>;
type Backend = Overview["backends"][number];
type Stream = StreamPage["streams"][number];

/** The parts of an admin view that are merged from those of all workers. */
export type MergedView = Pick<
  View,
  | "at"
  | "routes"
  | "routeCount"
  | "backends"
  | "backendCount"
  | "backendsUp"
  | "failures"
  | "failureSums"
  | "unrecorded"
  | "ends"
  | "endCounts"
  | "streams"
>;

/**
 * Merges the views of several workers into that of one gateway; the list of streams in each must start with the
 * first stream.
 */
export function mergedViews(views: readonly View[], query: ViewQuery): MergedView {
  const backends = mergedBackends(views.flatMap((view) => view.backends));
  return {
    at: Date.now(),
    routes: mergedRoutes(views.flatMap((view) => view.routes)),
    routeCount: Math.max(0, ...views.map(({ routeCount }) => routeCount)),
    backends,
    backendCount: Math.max(0, ...views.map(({ backendCount }) => backendCount)),
    backendsUp: upIn(views, backends),
    failures: mergedFailures(views.flatMap(({ failures }) => failures)),
    failureSums: addedFailureSums(views.map(({ failureSums }) => failureSums)),
    unrecorded: addedCounts(views.map(({ unrecorded }) => unrecorded)),
    ends: listEnds(
      views.flatMap(({ ends }) => ends),
      query,
    ),
    endCounts: addedCounts(views.map((view) => view.endCounts)),
    streams: mergedPages(
      views.map(({ streams }) => streams),
      query,
    ),
  };
}

/** Merges the first streams of several workers and returns the page that the query asks for. */
export function mergedPages(pages: readonly StreamPage[], { offset, limit, sort }: StreamQuery): StreamPage {
  const streams = pages.flatMap((page) => page.streams).sort(ORDER[sort]);
  const lastPage = Math.max(0, Math.ceil(streams.length / limit) - 1) * limit;
  const from = Math.min(offset, lastPage);
  const total = sum(pages, (page) => page.total);
  return { total, offset: from, limit, streams: streams.slice(from, from + limit) };
}

const ORDER: Readonly<Record<StreamQuery["sort"], (a: Stream, b: Stream) => number>> = {
  oldest: (a, b) => b.ageMs - a.ageMs,
  newest: (a, b) => a.ageMs - b.ageMs,
  rate: (a, b) => (b.eventsPerSecond ?? -1) - (a.eventsPerSecond ?? -1),
  bytes: (a, b) => b.bytes - a.bytes,
  backlog: (a, b) => b.pendingBytes - a.pendingBytes,
  delay: (a, b) => (b.firstEventMs ?? b.ageMs) - (a.firstEventMs ?? a.ageMs),
};

function mergedRoutes(rows: readonly Route[]): Route[] {
  const byName = new Map<string, Route>();
  for (const row of rows) {
    const known = byName.get(row.name);
    byName.set(row.name, known === undefined ? row : addedRoutes(known, row));
  }
  return [...byName.values()];
}

const addedRoutes = (a: Route, b: Route): Route => ({
  ...a,
  streams: a.streams + b.streams,
  events: a.events + b.events,
  eventsPerSecond: a.eventsPerSecond + b.eventsPerSecond,
  requests: a.requests + b.requests,
  failures: a.failures + b.failures,
  answers: a.answers && b.answers ? addedAnswers(a.answers, b.answers) : (a.answers ?? b.answers),
});

const addedAnswers = (a: Answers, b: Answers): Answers => ({
  running: a.running + b.running,
  kept: a.kept + b.kept,
  bytes: a.bytes + b.bytes,
  resumes: addedCounts([a.resumes, b.resumes]),
});

function mergedFailures(rows: readonly FailureRow[]): FailureRow[] {
  const byKey = new Map<string, FailureRow>();
  for (const row of rows) {
    const key = failureKey(row);
    const known = byKey.get(key);
    byKey.set(key, known === undefined ? row : addedFailures(known, row));
  }
  return mostFailures([...byKey.values()]);
}

const addedFailures = (a: FailureRow, b: FailureRow): FailureRow => ({
  ...a,
  total: a.total + b.total,
  recent: a.recent + b.recent,
  lastAt: Math.max(a.lastAt, b.lastAt),
});

const addedFailureSums = (all: readonly Overview["failureSums"][]): Overview["failureSums"] => ({
  refused: sum(all, ({ refused }) => refused),
  failed: sum(all, ({ failed }) => failed),
});

/** Adds up counts by name. */
function addedCounts<Name extends string>(
  all: readonly Readonly<Partial<Record<Name, number>>>[],
): Partial<Record<Name, number>> {
  const added: Partial<Record<Name, number>> = {};
  for (const counts of all) {
    for (const name of Object.keys(counts) as Name[]) added[name] = (added[name] ?? 0) + (counts[name] ?? 0);
  }
  return added;
}

/** Shows each backend in the worst state that a worker reports. */
function mergedBackends(rows: readonly Backend[]): Backend[] {
  const byKey = new Map<string, Backend>();
  for (const row of rows) {
    const key = JSON.stringify([row.route, row.backend]);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, row);
    else {
      byKey.set(key, {
        ...known,
        state: worse(known.state, row.state),
        failing: known.failing ?? row.failing,
        isOut: known.isOut || row.isOut,
        inFlight: known.inFlight + row.inFlight,
      });
    }
  }
  return worstFirst([...byKey.values()]);
}

/**
 * Counts the backends that are up in every worker. If the views do not list all backends, returns the lowest count
 * of a worker.
 */
function upIn(views: readonly View[], backends: readonly Backend[]): number {
  const areAll = views.every(({ backendCount }) => backendCount <= backends.length);
  if (areAll) return backends.filter(isUp).length;
  return Math.min(...views.map(({ backendsUp }) => backendsUp));
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
