import { routingPath } from "../http/routing-path.ts";
import type { RouteMatch } from "./match-schema.ts";

/** The name and the match of a route. */
export interface NamedMatch {
  readonly name: string;
  readonly match: RouteMatch;
}

/** Two routes that match the same requests. */
export interface Conflict {
  readonly name: string;
  readonly other: string;
  /** The methods that both match; undefined if both match any. */
  readonly methods: readonly string[] | undefined;
  /** Whether they have different conditions, so that only some requests match both. */
  readonly isPartial: boolean;
}

/** A field or a query parameter that a request must have, with its value. The name of a field is in lower case. */
export interface Condition {
  readonly kind: "header" | "query";
  readonly name: string;
  readonly value: string;
}

/** The parts of a match except its methods, in one spelling. */
export interface NormalizedMatch {
  /** Undefined stands for any host. */
  readonly hosts: readonly (string | undefined)[];
  readonly isPrefix: boolean;
  readonly path: string;
  /** Sorted. */
  readonly conditions: readonly Condition[];
}

/** Returns a match in one spelling: routes that are equal in it can differ only in their methods. */
export function normalizedMatch({ host, path, header = {}, query = {} }: RouteMatch): NormalizedMatch {
  const isPrefix = path.endsWith("/*");
  const conditions = [
    ...Object.entries(header).map(
      ([name, value]) => ({ kind: "header", name: name.toLowerCase(), value }) as const,
    ),
    ...Object.entries(query).map(([name, value]) => ({ kind: "query", name, value }) as const),
  ];
  return {
    hosts: host ?? [undefined],
    isPrefix,
    // `routingPath` merges the slashes before the star.
    path: isPrefix ? routingPath(path).slice(0, -2) : routingPath(path),
    conditions: conditions.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
  };
}

const keyOf = ({ kind, name }: Condition): string => `${kind} ${name}`;

/** Returns the methods of a route, with HEAD if GET is among them; undefined for any method. */
export function methodsOf({ methods }: RouteMatch): ReadonlySet<string> | undefined {
  if (methods === undefined) return undefined;
  return new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])));
}

/** Whether a host of a route, such as `*.example.com`, covers another one, which may be such a pattern too. */
export function coversHost(pattern: string | undefined, host: string | undefined): boolean {
  if (pattern === undefined || pattern === host) return true;
  return host !== undefined && pattern.startsWith("*.") && host.endsWith(pattern.slice(1));
}

/**
 * Finds routes with the same host, path and method of which one would never be reached, or whose conditions do not say
 * which of the two serves a request.
 *
 * A route cannot hide another one in any other way: a prefix leaves longer prefixes and exact paths to other routes, a
 * route with methods leaves the other methods to a route without, and a route with conditions is tried before a route
 * with fewer of them.
 */
export function findConflicts(routes: readonly NamedMatch[]): Conflict[] {
  const claimed = new Map<string, Claim[]>();
  const conflicts = new Map<string, Conflict>();
  for (const route of routes) {
    const { hosts, isPrefix, path, conditions } = normalizedMatch(route.match);
    for (const host of hosts) {
      const place = JSON.stringify([host, isPrefix, path]);
      const rivals = claimed.get(place) ?? [];
      for (const rival of rivals) {
        const conflict = conflictOf({ route, conditions }, rival);
        // Two routes may have several hosts in common.
        if (conflict !== undefined) conflicts.set(JSON.stringify([conflict.name, conflict.other]), conflict);
      }
      claimed.set(place, [...rivals, { route, conditions }]);
    }
  }
  return [...conflicts.values()];
}

/** A route at one host and path. */
interface Claim {
  readonly route: NamedMatch;
  readonly conditions: readonly Condition[];
}

function conflictOf(one: Claim, rival: Claim): Conflict | undefined {
  const isPartial = !haveSameConditions(one.conditions, rival.conditions);
  if (isPartial && (one.conditions.length !== rival.conditions.length || excludeEachOther(one, rival))) {
    return undefined;
  }
  const [ours, theirs] = [methodsOf(one.route.match), methodsOf(rival.route.match)];
  const methods = isPartial ? commonMethods(ours, theirs) : sharedMethods(ours, theirs);
  if (methods?.length === 0) return undefined;
  return { name: one.route.name, other: rival.route.name, methods, isPartial };
}

const haveSameConditions = (some: readonly Condition[], others: readonly Condition[]): boolean =>
  JSON.stringify(some) === JSON.stringify(others);

/** Whether no request can meet both conditions: they expect different values of one name. */
function excludeEachOther(one: Claim, rival: Claim): boolean {
  return one.conditions.some((condition) =>
    rival.conditions.some((other) => keyOf(other) === keyOf(condition) && other.value !== condition.value),
  );
}

type Methods = ReadonlySet<string> | undefined;

/** Returns the methods for which two such routes have the same rank; empty for none, undefined for all. */
function sharedMethods(a: Methods, b: Methods): readonly string[] | undefined {
  if (a === undefined && b === undefined) return undefined;
  if (a === undefined || b === undefined) return [];
  return commonMethods(a, b);
}

/** Returns the methods that both match; empty for none, undefined for all. */
export function commonMethods(a: Methods, b: Methods): readonly string[] | undefined {
  if (a === undefined) return b && [...b];
  return b === undefined ? [...a] : [...a].filter((method) => b.has(method));
}
