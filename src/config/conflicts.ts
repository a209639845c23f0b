import { routingPath } from "../http/routing-path.ts";
import type { RouteMatch } from "./route-schema.ts";

/** A route as far as its match goes. */
export interface NamedMatch {
  readonly name: string;
  readonly match: RouteMatch;
}

/** Two routes that claim the same requests. */
export interface Conflict {
  readonly name: string;
  readonly other: string;
  /** The methods that both claim; undefined when both take any. */
  readonly methods: readonly string[] | undefined;
}

/** The place that a match claims: two routes of one place differ in their methods alone. */
export function placeOf({ host, path }: RouteMatch): {
  readonly host: string | undefined;
  readonly isPrefix: boolean;
  readonly path: string;
} {
  const isPrefix = path.endsWith("/*");
  return {
    // A fully qualified name may end in a dot; nginx drops it too.
    host: host?.toLowerCase().replace(/\.$/, ""),
    isPrefix,
    // The slash before the star may be one of several.
    path: isPrefix ? routingPath(path).slice(0, -2) : routingPath(path),
  };
}

/** The methods of a route, HEAD with GET; undefined for any. */
export function methodsOf({ methods }: RouteMatch): ReadonlySet<string> | undefined {
  if (methods === undefined) return undefined;
  return new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])));
}

/**
 * Finds routes that claim the same host, path and method, so that one of them would never be reached.
 *
 * Nothing else can hide a route: the longest prefix wins, an exact path is one path of many, and a route
 * with methods leaves the other methods to the one without.
 */
export function findConflicts(routes: readonly NamedMatch[]): Conflict[] {
  const claimed = new Map<string, NamedMatch[]>();
  const conflicts: Conflict[] = [];
  for (const route of routes) {
    const place = JSON.stringify(placeOf(route.match));
    const rivals = claimed.get(place) ?? [];
    for (const rival of rivals) {
      const methods = sharedMethods(methodsOf(rival.match), methodsOf(route.match));
      if (methods?.length !== 0) conflicts.push({ name: route.name, other: rival.name, methods });
    }
    claimed.set(place, [...rivals, route]);
  }
  return conflicts;
}

/** Empty when two routes of one place get along. */
function sharedMethods(
  a: ReadonlySet<string> | undefined,
  b: ReadonlySet<string> | undefined,
): readonly string[] | undefined {
  if (a === undefined && b === undefined) return undefined;
  if (a === undefined || b === undefined) return [];
  return [...a].filter((method) => b.has(method));
}
