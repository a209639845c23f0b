import type { Backend } from "../upstream/backend.ts";
import { type RuntimeRoute, upstreamsOf } from "./runtime-route.ts";

/** A backend of a route, in one or several of its environments. */
export interface BackendState {
  readonly route: string;
  readonly backend: string;
  readonly state: "up" | "unhealthy" | "out";
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
        state: known === undefined || known.state === "up" ? state : known.state,
        isBackup: backend.isBackup && (known?.isBackup ?? true),
        inFlight: backend.inFlight + (known?.inFlight ?? 0),
      });
    }
  }
  return [...states.values()];
}

function stateOf({ isHealthy, passive }: Backend): BackendState["state"] {
  if (!isHealthy) return "unhealthy";
  return passive.isAvailable ? "up" : "out";
}
