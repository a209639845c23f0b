import { hostname } from "node:os";
import { version } from "../base/version.ts";
import { backendStates, isUp, worstFirst } from "../runtime/backend-states.ts";
import type { FailureRow } from "../runtime/failures.ts";
import { answersOf, type RuntimeRoute } from "../runtime/runtime-route.ts";
import type { Telemetry } from "../runtime/telemetry.ts";
import { listEnds } from "./ends.ts";
import type { ViewQuery } from "./streams.ts";

/** The maximum number of rows of a table in one overview; `/metrics` has all. */
const MAX_ROWS = 500;

/** The maximum number of rows of refused and failed requests in one overview. */
const MAX_FAILURES = 50;

/** Returns the data of the dashboard except the list of streams, once a second. */
export function overview(telemetry: Telemetry, query: ViewQuery) {
  const { activity, readiness, routes, reloads, incidents, failures, metrics } = telemetry;
  const all = [...routes()];
  const backends = backendStates(all);
  const sums = activity.byRoute();
  const failed = failures.rows();
  return {
    at: Date.now(),
    about: about(),
    startedAt: activity.startedAt,
    workers: undefined as Workers | undefined,
    isReady: readiness.isReady,
    obstacles: readiness.standing,
    incidents: incidents.counts,
    sample: activity.samples.at(-1),
    routes: all.slice(0, MAX_ROWS).map((route) => {
      const { name, match } = route.config;
      const { requests, failures: failedRequests, eventsPerSecond } = activity.counts(name);
      const { streams = 0, events = 0 } = sums.get(name) ?? {};
      return {
        name,
        path: match.path,
        host: match.host?.join(", "),
        streams,
        events,
        eventsPerSecond,
        requests,
        failures: failedRequests,
        answers: answersIn(route, telemetry),
      };
    }),
    routeCount: all.length,
    backends: worstFirst(backends).slice(0, MAX_ROWS),
    backendCount: backends.length,
    backendsUp: backends.filter(isUp).length,
    failures: mostFailures(failed),
    failureSums: failureSums(failed),
    unrecorded: metrics.answers.unrecordedCounts,
    ends: listEnds(activity.ends, query),
    endCounts: activity.endCounts(query.endRoute),
    reloads,
  };
}

/** The data of an overview. */
export type Overview = ReturnType<typeof overview>;

/** The number of workers that serve, and the number that the configuration asks for. */
type Workers = Readonly<Record<"serving" | "wanted", number>>;

/** Returns the version and the machine of this process. */
export function about() {
  return { version: version(), host: hostname(), node: process.version };
}

/** Returns the rows with the most requests of the last minutes, then of all. */
export function mostFailures(rows: readonly FailureRow[]): FailureRow[] {
  return rows.toSorted((a, b) => b.recent - a.recent || b.total - a.total).slice(0, MAX_FAILURES);
}

/** Adds up the requests of the last minutes: those that sluice refused, and those that failed with 500 or above. */
function failureSums(rows: readonly FailureRow[]) {
  const sums = { refused: 0, failed: 0 };
  for (const { status, recent } of rows) sums[status >= 500 ? "failed" : "refused"] += recent;
  return sums;
}

/** Returns the named answers of a route; undefined without `resume`. */
function answersIn(route: RuntimeRoute, { metrics }: Telemetry) {
  const all = answersOf(route);
  if (all.length === 0) return undefined;
  const sum = { running: 0, kept: 0, bytes: 0, resumes: metrics.answers.resumesOf(route.config.name) };
  for (const { table } of all) {
    const { states, bytes } = table.counts;
    sum.running += (states["waiting"] ?? 0) + (states["running"] ?? 0);
    sum.kept += (states["whole"] ?? 0) + (states["broken"] ?? 0);
    sum.bytes += bytes;
  }
  return sum;
}
