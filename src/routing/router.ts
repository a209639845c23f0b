import { methodsOf, normalizedMatch } from "../config/conflicts.ts";
import type { RouteMatch } from "../config/route-schema.ts";

/** A route: its match, and the value that the router returns for it. */
export interface RouteEntry<T> {
  readonly name: string;
  readonly match: RouteMatch;
  readonly value: T;
}

/** The parts of a request that routing uses. */
export interface RoutingFacts {
  /** In lower case, without port and final dot. */
  readonly host: string;
  /** As `routingPath` returns it. */
  readonly path: string;
  readonly method: string;
}

/** The route of a request, or the methods that its path allows. */
export type Routed<T> = { readonly route: T } | { readonly allow: readonly string[] };

export interface Router<T> {
  /** Returns undefined if no route has this host and path. */
  match(facts: RoutingFacts): Routed<T> | undefined;
}

/** The routes of one host and path, which differ in their methods. */
interface PathRoutes<T> {
  readonly byMethod: Map<string, { readonly route: T }>;
  anyMethod: { readonly route: T } | undefined;
  refusal: { readonly allow: readonly string[] };
}

/** The routes of one host. */
interface HostRoutes<T> {
  readonly exact: Map<string, PathRoutes<T>>;
  /** By the path before the final slash and star; empty for `/*`. */
  readonly prefixes: Map<string, PathRoutes<T>>;
  longestPrefix: number;
}

/**
 * Creates a router with nginx's precedence: routes with a host first, then exact paths before prefixes, then the longest
 * prefix; for one path, routes with methods before routes without.
 *
 * As in nginx, the path decides before the method: if the routes of a path allow other methods only, the request gets
 * 405 even if a shorter prefix would allow its method. Unlike in nginx, where a server block owns its host, a route
 * without host also serves the paths that the routes of a host do not match.
 */
export function createRouter<T>(entries: readonly RouteEntry<T>[]): Router<T> {
  const anyHost = newHostRoutes<T>();
  const hosts = new Map<string, HostRoutes<T>>();
  for (const entry of entries) {
    const { host } = normalizedMatch(entry.match);
    if (host === undefined) addTo(anyHost, entry);
    else {
      const hostRoutes = hosts.get(host) ?? newHostRoutes<T>();
      hosts.set(host, hostRoutes);
      addTo(hostRoutes, entry);
    }
  }
  return {
    match({ host, path, method }) {
      const hostRoutes = hosts.get(host);
      const pathRoutes = (hostRoutes && findPathRoutes(hostRoutes, path)) ?? findPathRoutes(anyHost, path);
      return pathRoutes && (pathRoutes.byMethod.get(method) ?? pathRoutes.anyMethod ?? pathRoutes.refusal);
    },
  };
}

const newHostRoutes = <T>(): HostRoutes<T> => ({ exact: new Map(), prefixes: new Map(), longestPrefix: 0 });

/** Adds a route. If two routes have the same match, the first is kept; `loadConfig` refuses such a pair. */
function addTo<T>(hostRoutes: HostRoutes<T>, { match, value }: RouteEntry<T>): void {
  const { isPrefix, path } = normalizedMatch(match);
  const byPath = isPrefix ? hostRoutes.prefixes : hostRoutes.exact;
  const pathRoutes = byPath.get(path) ?? {
    byMethod: new Map(),
    anyMethod: undefined,
    refusal: { allow: [] },
  };
  byPath.set(path, pathRoutes);
  if (isPrefix) hostRoutes.longestPrefix = Math.max(hostRoutes.longestPrefix, path.length);
  const found = { route: value };
  const methods = methodsOf(match);
  if (methods === undefined) pathRoutes.anyMethod ??= found;
  for (const method of methods ?? [])
    if (!pathRoutes.byMethod.has(method)) pathRoutes.byMethod.set(method, found);
  pathRoutes.refusal = { allow: [...pathRoutes.byMethod.keys()] };
}

function findPathRoutes<T>(
  { exact, prefixes, longestPrefix }: HostRoutes<T>,
  path: string,
): PathRoutes<T> | undefined {
  const pathRoutes = exact.get(path);
  if (pathRoutes !== undefined || prefixes.size === 0) return pathRoutes;
  // Starting at the longest prefix bounds the steps by the configuration, even for a path of 16,000 slashes.
  let end = path.length <= longestPrefix ? path.length : path.lastIndexOf("/", longestPrefix);
  while (end >= 0) {
    const found = prefixes.get(path.slice(0, end));
    if (found !== undefined) return found;
    end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
  }
  return undefined;
}

/** Returns routes in the order in which they are tried; routes of equal rank in alphabetical order. */
export function inMatchingOrder<R extends { readonly match: RouteMatch }>(routes: readonly R[]): R[] {
  const rank = (match: RouteMatch): readonly (number | string)[] => {
    const { host, isPrefix, path } = normalizedMatch(match);
    const isLast = (value: boolean) => (value ? 1 : 0);
    return [
      isLast(host === undefined),
      host ?? "",
      isLast(isPrefix),
      -path.length,
      path,
      isLast(match.methods === undefined),
    ];
  };
  return routes.toSorted((a, b) => {
    const others = rank(b.match);
    for (const [index, one] of rank(a.match).entries()) {
      const other = others[index] ?? one;
      if (one !== other) return one < other ? -1 : 1;
    }
    return 0;
  });
}
