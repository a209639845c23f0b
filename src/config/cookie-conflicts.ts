import { isDeepStrictEqual } from "node:util";
import { coversHost, normalizedMatch } from "./conflicts.ts";
import type { RouteFile } from "./route-schema.ts";
import { addressName } from "./upstream-schema.ts";

type NamedRoute = Pick<RouteFile, "match" | "upstream"> & { readonly name: string };

/**
 * Returns the pairs of routes that set the same sticky cookie on one host for different backends, as their names: each
 * of the two would replace the other's cookie, and no client would stay at its backend.
 */
export function findCookieConflicts(routes: readonly NamedRoute[]): readonly (readonly [string, string])[] {
  const sticky = routes.flatMap((route) => {
    const cookie = route.upstream?.sticky?.cookie;
    const backends = route.upstream?.backends.map(({ url }) => addressName(url)).toSorted();
    return cookie === undefined ? [] : [{ route, name: cookie.name, pool: [cookie.secret, backends] }];
  });
  const conflicts: [string, string][] = [];
  for (const [at, one] of sticky.entries()) {
    const other = sticky
      .slice(0, at)
      .find(
        (earlier) =>
          earlier.name === one.name &&
          shareHost(earlier.route, one.route) &&
          !isDeepStrictEqual(earlier.pool, one.pool),
      );
    if (other !== undefined) conflicts.push([one.route.name, other.route.name]);
  }
  return conflicts;
}

/** Whether a browser sends the cookies of one route to the other; a route without a host serves every host. */
function shareHost(a: NamedRoute, b: NamedRoute): boolean {
  const [some, others] = [normalizedMatch(a.match).hosts, normalizedMatch(b.match).hosts];
  return some.some((host) => others.some((other) => coversHost(host, other) || coversHost(other, host)));
}
