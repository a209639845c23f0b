import { type Condition, methodsOf, type NormalizedMatch, normalizedMatch } from "../config/conflicts.ts";
import type { RouteMatch } from "../config/match-schema.ts";
import { Ambiguity, type ConditionName, type ConditionSource, meets, readValues } from "./conditions.ts";

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

/**
 * The route of a request; or the methods that its path allows; or the reason why two servers could read it in two ways,
 * so that it must be refused.
 */
export type Routed<T> =
  | { readonly route: T }
  | { readonly allow: readonly string[] }
  | { readonly ambiguity: string };

export interface Router<T> {
  /** Returns undefined if no route has this host and path. Only the conditions of routes read `source`. */
  match(facts: RoutingFacts, source: ConditionSource): Routed<T> | undefined;
}

/** Routes that differ only in their methods. */
interface MethodRoutes<T> {
  readonly byMethod: Map<string, { readonly route: T }>;
  anyMethod: { readonly route: T } | undefined;
}

/** The routes of one host and path. */
interface PathRoutes<T> extends MethodRoutes<T> {
  refusal: { readonly allow: readonly string[] };
  /** The routes with conditions; undefined without any, so that other paths pay nothing for them. */
  conditional: ConditionalRoutes<T> | undefined;
}

/** The routes of one host or wildcard, or of all hosts. */
interface HostRoutes<T> {
  readonly exact: Map<string, PathRoutes<T>>;
  /** By the path before the final slash and star; empty for `/*`. */
  readonly prefixes: Map<string, PathRoutes<T>>;
  longestPrefix: number;
  /** The next host in nginx's order of precedence; undefined after the routes of all hosts. */
  next: HostRoutes<T> | undefined;
}

/**
 * Creates a router with nginx's precedence: an exact host first, then the longest wildcard, then routes without host; for
 * one host exact paths before prefixes, then the longest prefix; for one path, routes with more conditions before routes
 * with fewer, and then routes with methods before routes without.
 *
 * As in nginx, the path decides before the method: if the routes of a path allow other methods only, the request gets
 * 405 even if a shorter prefix would allow its method. A route whose conditions are not met does not match: the next one
 * is tried, also that of a shorter prefix. Unlike in nginx, where a server block owns its host, a route without host also
 * serves the paths that the routes of a host do not match.
 */
export function createRouter<T>(entries: readonly RouteEntry<T>[]): Router<T> {
  const anyHost = newHostRoutes<T>();
  const hosts = new Map<string, HostRoutes<T>>();
  for (const entry of entries) {
    const match = normalizedMatch(entry.match);
    for (const host of match.hosts) {
      const hostRoutes = (host === undefined ? anyHost : hosts.get(host)) ?? newHostRoutes<T>();
      if (host !== undefined) hosts.set(host, hostRoutes);
      addTo(hostRoutes, match, entry);
    }
  }
  const wildcards = createWildcards(hosts, anyHost);
  for (const [host, hostRoutes] of hosts) hostRoutes.next = wildcards.above(host.replace(/^\*\./, ""));
  return {
    match(facts, source) {
      let site: HostRoutes<T> | undefined = hosts.get(facts.host) ?? wildcards.above(facts.host);
      for (; site !== undefined; site = site.next) {
        const found = find(site, facts, source);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

const newHostRoutes = <T>(): HostRoutes<T> => ({
  exact: new Map(),
  prefixes: new Map(),
  longestPrefix: 0,
  next: undefined,
});

interface Wildcards<T> {
  /** Returns the routes of the longest wildcard above a host, or those of all hosts. */
  above(host: string): HostRoutes<T>;
}

function createWildcards<T>(hosts: ReadonlyMap<string, HostRoutes<T>>, anyHost: HostRoutes<T>): Wildcards<T> {
  /** By the host without its star: `.example.com`. */
  const bySuffix = new Map<string, HostRoutes<T>>();
  let longest = 0;
  for (const [host, hostRoutes] of hosts) {
    if (!host.startsWith("*.")) continue;
    bySuffix.set(host.slice(1), hostRoutes);
    longest = Math.max(longest, host.length - 1);
  }
  if (bySuffix.size === 0) return { above: () => anyHost };
  return {
    above(host) {
      // Starting at the longest suffix bounds the steps by the configuration, even for a host of 8,000 dots.
      let at = host.indexOf(".", Math.max(1, host.length - longest));
      for (; at >= 0; at = host.indexOf(".", at + 1)) {
        const found = bySuffix.get(host.slice(at));
        if (found !== undefined) return found;
      }
      return anyHost;
    },
  };
}

/** Adds a route. If two routes have the same match, the first is kept; `loadConfig` refuses such a pair. */
function addTo<T>(hostRoutes: HostRoutes<T>, match: NormalizedMatch, entry: RouteEntry<T>): void {
  const { isPrefix, path, conditions } = match;
  const byPath = isPrefix ? hostRoutes.prefixes : hostRoutes.exact;
  const pathRoutes = byPath.get(path) ?? newPathRoutes<T>();
  byPath.set(path, pathRoutes);
  if (isPrefix) hostRoutes.longestPrefix = Math.max(hostRoutes.longestPrefix, path.length);
  if (conditions.length > 0) {
    pathRoutes.conditional ??= new ConditionalRoutes();
    addMethods(pathRoutes.conditional.routesWith(conditions), entry);
    return;
  }
  addMethods(pathRoutes, entry);
  pathRoutes.refusal = { allow: [...pathRoutes.byMethod.keys()] };
}

const newPathRoutes = <T>(): PathRoutes<T> => ({
  byMethod: new Map(),
  anyMethod: undefined,
  refusal: { allow: [] },
  conditional: undefined,
});

function addMethods<T>(routes: MethodRoutes<T>, { match, value }: RouteEntry<T>): void {
  const found = { route: value };
  const methods = methodsOf(match);
  if (methods === undefined) routes.anyMethod ??= found;
  for (const method of methods ?? []) if (!routes.byMethod.has(method)) routes.byMethod.set(method, found);
}

function find<T>(
  { exact, prefixes, longestPrefix }: HostRoutes<T>,
  { path, method }: RoutingFacts,
  source: ConditionSource,
): Routed<T> | undefined {
  const pathRoutes = exact.get(path);
  const found = pathRoutes && choose(pathRoutes, method, source);
  if (found !== undefined || prefixes.size === 0) return found;
  // Starting at the longest prefix bounds the steps by the configuration, even for a path of 16,000 slashes.
  let end = path.length <= longestPrefix ? path.length : path.lastIndexOf("/", longestPrefix);
  while (end >= 0) {
    const below = prefixes.get(path.slice(0, end));
    const chosen = below && choose(below, method, source);
    if (chosen !== undefined) return chosen;
    end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
  }
  return undefined;
}

/** Returns the route of a path for a method; undefined if no route of the path matches the request. */
function choose<T>(routes: PathRoutes<T>, method: string, source: ConditionSource): Routed<T> | undefined {
  if (routes.conditional !== undefined) return chooseBy(routes.conditional, routes, method, source);
  return routes.byMethod.get(method) ?? routes.anyMethod ?? routes.refusal;
}

function chooseBy<T>(
  conditional: ConditionalRoutes<T>,
  plain: PathRoutes<T>,
  method: string,
  source: ConditionSource,
): Routed<T> | undefined {
  const matching = conditional.matching(source);
  if (matching instanceof Ambiguity) return { ambiguity: matching.reason };
  const groups: MethodRoutes<T>[] = [...matching, plain];
  for (const { byMethod, anyMethod } of groups) {
    const found = byMethod.get(method) ?? anyMethod;
    if (found !== undefined) return found;
  }
  const allow = new Set(groups.flatMap(({ byMethod }) => [...byMethod.keys()]));
  return allow.size === 0 ? undefined : { allow: [...allow] };
}

/** The routes of a path that have conditions, by their conditions. */
class ConditionalRoutes<T> {
  /** The fields and parameters of all conditions. */
  readonly #names: ConditionName[] = [];
  /** Those with more conditions first. */
  readonly #groups: Group<T>[] = [];

  /** Returns the routes with exactly these conditions, which are sorted. */
  routesWith(conditions: readonly Condition[]): MethodRoutes<T> {
    const key = JSON.stringify(conditions);
    const known = this.#groups.find((group) => group.key === key);
    if (known !== undefined) return known;
    const expected = conditions.map(({ kind, name, value }) => ({
      at: this.#indexOf({ kind, name }),
      value,
    }));
    const group = { key, expected, byMethod: new Map(), anyMethod: undefined };
    this.#groups.push(group);
    this.#groups.sort((a, b) => b.expected.length - a.expected.length);
    return group;
  }

  /** Returns the routes whose conditions a request meets, those with more conditions first. */
  matching(source: ConditionSource): readonly MethodRoutes<T>[] | Ambiguity {
    const values = readValues(this.#names, source);
    if (values instanceof Ambiguity) return values;
    return this.#groups.filter(({ expected }) => expected.every(({ at, value }) => meets(values[at], value)));
  }

  #indexOf({ kind, name }: ConditionName): number {
    const at = this.#names.findIndex((other) => other.kind === kind && other.name === name);
    return at < 0 ? this.#names.push({ kind, name }) - 1 : at;
  }
}

/** Routes with the same conditions. */
interface Group<T> extends MethodRoutes<T> {
  readonly key: string;
  /** The expected values, each with the index of its name. */
  readonly expected: readonly { readonly at: number; readonly value: string }[];
}

/** Returns routes in the order in which they are tried; routes of equal rank in alphabetical order. */
export function inMatchingOrder<R extends { readonly match: RouteMatch }>(routes: readonly R[]): R[] {
  const rank = (match: RouteMatch): readonly (number | string)[] => {
    const { hosts, isPrefix, path, conditions } = normalizedMatch(match);
    const isLast = (value: boolean) => (value ? 1 : 0);
    const [host] = hosts;
    const isWildcard = host?.startsWith("*.") === true;
    return [
      isLast(host === undefined),
      isLast(isWildcard),
      isWildcard ? -host.length : 0,
      hosts.join(),
      isLast(isPrefix),
      -path.length,
      path,
      -conditions.length,
      isLast(match.methods === undefined),
      JSON.stringify(conditions),
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
