import { backendStates, isUp } from "../runtime/backend-states.ts";
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
    routes: all.slice(0, MAX_ROWS).map(({ config: { name, match } }) => {
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

/** The data of an overview. */
export type Overview = ReturnType<typeof overview>;
