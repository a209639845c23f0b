import { routingPath } from "../http/routing-path.ts";
import type { RouteMatch } from "./route-schema.ts";

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
}

/** Returns host and path of a match in one spelling: routes that are equal in it can differ only in their methods. */
export function normalizedMatch({ host, path }: RouteMatch): {
  readonly host: string | undefined;
  readonly isPrefix: boolean;
  readonly path: string;
} {
  const isPrefix = path.endsWith("/*");
  return {
    // A fully qualified name may end with a dot, which nginx removes too.
    host: host?.toLowerCase().replace(/\.$/, ""),
    isPrefix,
    // `routingPath` merges the slashes before the star.
    path: isPrefix ? routingPath(path).slice(0, -2) : routingPath(path),
  };
}

/** Returns the methods of a route, with HEAD if GET is among them; undefined for any method. */
export function methodsOf({ methods }: RouteMatch): ReadonlySet<string> | undefined {
  if (methods === undefined) return undefined;
  return new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])));
}

/**
 * Finds routes with the same host, path and method, of which one would never be reached.
 *
 * A route cannot hide another one in any other way: a prefix leaves longer prefixes and exact paths to other routes, and
 * a route with methods leaves the other methods to a route without.
 */
export function findConflicts(routes: readonly NamedMatch[]): Conflict[] {
  const claimed = new Map<string, NamedMatch[]>();
  const conflicts: Conflict[] = [];
  for (const route of routes) {
    const claim = JSON.stringify(normalizedMatch(route.match));
    const rivals = claimed.get(claim) ?? [];
    for (const rival of rivals) {
      const methods = sharedMethods(methodsOf(rival.match), methodsOf(route.match));
      if (methods?.length !== 0) conflicts.push({ name: route.name, other: rival.name, methods });
    }
    claimed.set(claim, [...rivals, route]);
  }
  return conflicts;
}

/** Returns the methods that both of two such routes match; empty for none, undefined for all. */
function sharedMethods(
  a: ReadonlySet<string> | undefined,
  b: ReadonlySet<string> | undefined,
): readonly string[] | undefined {
  if (a === undefined && b === undefined) return undefined;
  if (a === undefined || b === undefined) return [];
  return [...a].filter((method) => b.has(method));
}
