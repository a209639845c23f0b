import { methodsOf, placeOf } from "../config/conflicts.ts";
import type { RouteMatch } from "../config/route-schema.ts";

/** A route to be found: what it matches, and what is handed out for it. */
export interface RouteEntry<T> {
  readonly name: string;
  readonly match: RouteMatch;
  readonly value: T;
}

/** What routing looks at. */
export interface RoutingFacts {
  /** In lower case, without port and final dot. */
  readonly host: string;
  /** As `routingPath` returns it. */
  readonly path: string;
  readonly method: string;
}

/** The route of a request, or the methods that its path takes instead. */
export type Routed<T> = { readonly route: T } | { readonly allow: readonly string[] };

export interface Router<T> {
  match(facts: RoutingFacts): Routed<T> | undefined;
}

/** The routes of one host and path; they differ in their methods. */
interface Spot<T> {
  readonly byMethod: Map<string, { readonly route: T }>;
  anyMethod: { readonly route: T } | undefined;
  refusal: { readonly allow: readonly string[] };
}

/** The routes of one host. */
interface Site<T> {
  readonly exact: Map<string, Spot<T>>;
  /** By the path before the final slash and star; `/*` is the empty one. */
  readonly prefixes: Map<string, Spot<T>>;
  longestPrefix: number;
}

/**
 * Finds routes with nginx's precedence: host before none, exact before prefix, the longest prefix first,
 * and at one place a route with methods before one without.
 *
 * As in nginx the path decides before the method: a path whose routes take other methods answers 405, even
 * if a shorter prefix would take it. Unlike nginx, where a server block owns its host, a route without host
 * serves every host, so it also serves what the host's own routes leave over.
 */
export function createRouter<T>(entries: readonly RouteEntry<T>[]): Router<T> {
  const anyHost = newSite<T>();
  const hosts = new Map<string, Site<T>>();
  for (const entry of entries) {
    const { host } = placeOf(entry.match);
    if (host === undefined) addTo(anyHost, entry);
    else {
      const site = hosts.get(host) ?? newSite<T>();
      hosts.set(host, site);
      addTo(site, entry);
    }
  }
  return {
    match({ host, path, method }) {
      const site = hosts.get(host);
      const spot = (site && findSpot(site, path)) ?? findSpot(anyHost, path);
      return spot && (spot.byMethod.get(method) ?? spot.anyMethod ?? spot.refusal);
    },
  };
}

const newSite = <T>(): Site<T> => ({ exact: new Map(), prefixes: new Map(), longestPrefix: 0 });

/** Of two routes that claim the same, the first stays; loading a configuration refuses such a pair. */
function addTo<T>(site: Site<T>, { match, value }: RouteEntry<T>): void {
  const { isPrefix, path } = placeOf(match);
  const spots = isPrefix ? site.prefixes : site.exact;
  const spot = spots.get(path) ?? { byMethod: new Map(), anyMethod: undefined, refusal: { allow: [] } };
  spots.set(path, spot);
  if (isPrefix) site.longestPrefix = Math.max(site.longestPrefix, path.length);
  const found = { route: value };
  const methods = methodsOf(match);
  if (methods === undefined) spot.anyMethod ??= found;
  for (const method of methods ?? []) if (!spot.byMethod.has(method)) spot.byMethod.set(method, found);
  spot.refusal = { allow: [...spot.byMethod.keys()] };
}

function findSpot<T>({ exact, prefixes, longestPrefix }: Site<T>, path: string): Spot<T> | undefined {
  const spot = exact.get(path);
  if (spot !== undefined || prefixes.size === 0) return spot;
  // Starting at the longest prefix bounds the steps by the configuration: a path of 16,000 slashes costs no more.
  let end = path.length <= longestPrefix ? path.length : path.lastIndexOf("/", longestPrefix);
  while (end >= 0) {
    const found = prefixes.get(path.slice(0, end));
    if (found !== undefined) return found;
    end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
  }
  return undefined;
}

/** The order in which routes are tried, for people to read; routes of one rank are in the order of their text. */
export function inMatchingOrder<R extends { readonly match: RouteMatch }>(routes: readonly R[]): R[] {
  const rank = (match: RouteMatch): readonly (number | string)[] => {
    const { host, isPrefix, path } = placeOf(match);
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
