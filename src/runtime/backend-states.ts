import type { Backend } from "../upstream/backend.ts";
import type { Failing } from "../upstream/backend-record.ts";
import { type RuntimeRoute, upstreamsOf } from "./runtime-route.ts";

/**
 * The health of a backend, for people, from the least known to the worst: `untried` before the first result, `failing`
 * if the last attempt or check failed, `unhealthy` if checks have taken it out.
 */
export const BACKEND_HEALTH = ["untried", "up", "failing", "unhealthy"] as const;

export type BackendHealth = (typeof BACKEND_HEALTH)[number];

/** A backend of a route, in one or several of its environments. */
export interface BackendState {
  readonly route: string;
  readonly backend: string;
  readonly state: BackendHealth;
  /** The last error and when its failures began; undefined while the backend works. */
  readonly failing: Failing | undefined;
  /** Whether it gets no requests now, because of its failures or its checks. */
  readonly isOut: boolean;
  readonly isBackup: boolean;
  readonly inFlight: number;
}

/** Returns the backends of routes. A backend of two environments of a route is listed once, with the worse state. */
export function backendStates(routes: Iterable<RuntimeRoute>): BackendState[] {
  const states = new Map<string, BackendState>();
  for (const route of routes) {
    for (const backend of upstreamsOf(route).flatMap(({ backends }) => backends)) {
      const key = JSON.stringify([route.config.name, backend.url]);
      const known = states.get(key);
      const state = stateOf(backend);
      states.set(key, {
        route: route.config.name,
        backend: backend.url,
        state: known === undefined ? state : worse(known.state, state),
        failing: known?.failing ?? backend.record.failing,
        isOut: !backend.isAvailable || (known?.isOut ?? false),
        isBackup: backend.isBackup && (known?.isBackup ?? true),
        inFlight: backend.inFlight + (known?.inFlight ?? 0),
      });
    }
  }
  return [...states.values()];
}

function stateOf({ isHealthy, record }: Backend): BackendHealth {
  if (!isHealthy) return "unhealthy";
  if (record.failing !== undefined) return "failing";
  return record.isTried ? "up" : "untried";
}

/** Returns the counts of the backends of routes, each environment for itself. */
export function* backendRecords(routes: Iterable<RuntimeRoute>) {
  for (const route of routes) {
    for (const { url, record } of upstreamsOf(route).flatMap(({ backends }) => backends))
      yield { route: route.config.name, backend: url, attempts: record.attempts, connects: record.connects };
  }
}

/** Whether a backend is not known to fail. */
export function isUp({ state }: Pick<BackendState, "state">): boolean {
  return state === "up" || state === "untried";
}

/** Orders backends: the worst first, others as they are configured. */
export function worstFirst<T extends Pick<BackendState, "state">>(states: readonly T[]): T[] {
  const badness = ({ state }: T) => Math.max(BACKEND_HEALTH.indexOf(state), BACKEND_HEALTH.indexOf("up"));
  return states.toSorted((a, b) => badness(b) - badness(a));
}

/** Returns the worse of two states of one backend. */
export function worse(a: BackendHealth, b: BackendHealth): BackendHealth {
  return BACKEND_HEALTH.indexOf(a) > BACKEND_HEALTH.indexOf(b) ? a : b;
}
