import { isDeepStrictEqual } from "node:util";
import type { RouteFile } from "./route-schema.ts";
import { addressName } from "./upstream-schema.ts";

type NamedRoute = Pick<RouteFile, "upgrade" | "upstream" | "auth" | "access"> & { readonly name: string };

/**
 * Returns the pairs of a route with `upgrade: [h2c]` and a route with other credentials or access lists for the same
 * backend, as their names. No check applies in the tunnel, so a client of the first route reaches the second one's paths.
 */
export function findH2cConflicts(routes: readonly NamedRoute[]): readonly (readonly [string, string])[] {
  return routes
    .filter(({ upgrade }) => upgrade.includes("h2c"))
    .flatMap((open) => {
      const passed = routes.find((route) => isGuardedOtherwise(route, open) && sharesBackend(route, open));
      return passed === undefined ? [] : [[open.name, passed.name] as const];
    });
}

function isGuardedOtherwise({ auth, access }: NamedRoute, open: NamedRoute): boolean {
  const isGuarded = auth !== undefined || access.allow.length > 0 || access.deny.length > 0;
  return isGuarded && !(isDeepStrictEqual(auth, open.auth) && isDeepStrictEqual(access, open.access));
}

/** Whether two routes have a backend in common. */
export function sharesBackend(a: Pick<RouteFile, "upstream">, b: Pick<RouteFile, "upstream">): boolean {
  const namesOf = ({ upstream }: Pick<RouteFile, "upstream">) =>
    upstream?.backends.map(({ url }) => addressName(url)) ?? [];
  const names = new Set(namesOf(a));
  return namesOf(b).some((name) => names.has(name));
}
