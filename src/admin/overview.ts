import { backendStates, isUp } from "../runtime/backend-states.ts";
import { answersOf, type RuntimeRoute } from "../runtime/runtime-route.ts";
import type { Telemetry } from "../runtime/telemetry.ts";

/** The maximum number of rows of a table in one overview; `/metrics` has all. */
const MAX_ROWS = 500;

/** The maximum number of ended streams in one overview. */
export const MAX_ENDS = 20;

/** Returns the data of the dashboard except the list of streams, once a second. */
export function overview({ activity, readiness, routes, reloads }: Telemetry) {
  const all = [...routes()];
  const backends = backendStates(all);
  const sums = activity.byRoute();
  return {
    at: Date.now(),
    startedAt: activity.startedAt,
    isReady: readiness.isReady,
    obstacles: readiness.obstacles,
    sample: activity.samples.at(-1),
    routes: all.slice(0, MAX_ROWS).map((route) => {
      const { name, match } = route.config;
      const { requests, failures, eventsPerSecond } = activity.counts(name);
      const { streams = 0, events = 0 } = sums.get(name) ?? {};
      return {
        name,
        path: match.path,
        host: match.host,
        streams,
        events,
        eventsPerSecond,
        requests,
        failures,
        answers: answersIn(route),
      };
    }),
    routeCount: all.length,
    unmatched: activity.counts("").requests,
    backends: backends.slice(0, MAX_ROWS),
    backendCount: backends.length,
    backendsUp: backends.filter(isUp).length,
    ends: activity.ends.slice(0, MAX_ENDS),
    reloads,
  };
}

/** Returns the number of named answers that a route keeps; undefined without `resume`. */
function answersIn(route: RuntimeRoute): number | undefined {
  const all = answersOf(route);
  return all.length === 0 ? undefined : all.reduce((sum, { table }) => sum + table.kept, 0);
}

/** The data of an overview. */
export type Overview = ReturnType<typeof overview>;
