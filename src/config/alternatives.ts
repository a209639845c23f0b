import { commonMethods, coversHost, methodsOf, type NormalizedMatch, normalizedMatch } from "./conflicts.ts";
import type { RouteMatch } from "./match-schema.ts";

/** A route with conditions, and another one that serves a request of the same host, path and method without them. */
export interface Alternative<R> {
  readonly route: R;
  readonly other: R;
}

interface Route {
  readonly match: RouteMatch;
}

/**
 * Finds the routes that serve the requests of a route whose conditions are not met: of the same path, or of a shorter
 * prefix or a wider host, because such a request is matched with the next route.
 */
export function alternativesIn<R extends Route>(routes: readonly R[]): Alternative<R>[] {
  const all = routes.map((route) => ({
    route,
    match: normalizedMatch(route.match),
    methods: methodsOf(route.match),
  }));
  const conditional = all.filter(({ match }) => match.conditions.length > 0);
  return conditional.flatMap((one) =>
    all
      .filter(
        (other) =>
          other !== one &&
          comesAfter(other.match, one.match) &&
          commonMethods(one.methods, other.methods)?.length !== 0,
      )
      .map((other) => ({ route: one.route, other: other.route })),
  );
}

/** Whether some request of a host and path of `one` is matched with `other` after `one`, or together with it. */
function comesAfter(other: NormalizedMatch, one: NormalizedMatch): boolean {
  return one.hosts.some((host) =>
    other.hosts.some((wider) => {
      if (!coversHost(wider, host)) return false;
      // For one host, longer paths come first. A path of a wider host comes later, however long it is.
      return coversPath(other, one) || (wider !== host && coversPath(one, other));
    }),
  );
}

/** Whether a path takes each request that another one takes. */
function coversPath(wide: NormalizedMatch, narrow: NormalizedMatch): boolean {
  if (!wide.isPrefix) return !narrow.isPrefix && wide.path === narrow.path;
  return narrow.path === wide.path || narrow.path.startsWith(`${wide.path}/`);
}
