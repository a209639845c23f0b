import { isDeepStrictEqual } from "node:util";
import { alternativesIn } from "./alternatives.ts";
import { normalizedMatch } from "./conflicts.ts";
import { sharesBackend } from "./h2c-conflicts.ts";
import type { RouteFile } from "./route-schema.ts";

/** The consequences of routes that differ by a field or a query parameter of the request. */

type NamedRoute = Pick<RouteFile, "match" | "cors" | "auth" | "access" | "upstream"> & {
  readonly name: string;
};

/** A pair of routes, by their names, with the fields or conditions by which they differ. */
export interface ConditionalPair {
  readonly name: string;
  readonly other: string;
  readonly conditions: string;
}

/**
 * Returns the pairs of routes that differ by the value of a field and have different `cors`. A preflight does not carry
 * the value, so sluice would answer it for one route, and the browser would send the request to the other.
 */
export function findCorsConflicts(routes: readonly NamedRoute[]): ConditionalPair[] {
  const differing = alternativesIn(routes).filter(
    ({ route, other }) => fieldsOf(route).length > 0 && !isDeepStrictEqual(route.cors, other.cors),
  );
  return once(
    differing.map(({ route, other }) => ({
      ...{ name: route.name, other: other.name },
      conditions: fieldsOf(route).join(" and "),
    })),
  );
}

/**
 * Returns the pairs of routes of which one requires credentials or an address and the other does not, although the client
 * chooses between them by a field or a parameter. Routes of different paths count if they have a backend in common.
 */
export function findOpenAlternatives(routes: readonly NamedRoute[]): ConditionalPair[] {
  const open = alternativesIn(routes).filter(
    ({ route, other }) =>
      isGuarded(route) !== isGuarded(other) && (haveSamePath(route, other) || sharesBackend(route, other)),
  );
  return once(
    open.map(({ route, other }) => {
      const [name, opened] = isGuarded(route) ? [route.name, other.name] : [other.name, route.name];
      return { name, other: opened, conditions: conditionsOf(route) };
    }),
  );
}

/**
 * Adds the value of Vary to each route: the fields of the request that decide whether the route serves it (RFC 9110
 * section 12.5.5). Without it, a cache would answer the requests of one version with the responses of another.
 */
export function withVary<R extends NamedRoute>(routes: readonly R[]): (R & { readonly vary?: string })[] {
  const fields = new Map<string, Set<string>>();
  const add = (route: NamedRoute, names: readonly string[]) => {
    if (names.length === 0) return;
    const known = fields.get(route.name) ?? new Set();
    fields.set(route.name, known);
    for (const name of names) known.add(name);
  };
  for (const route of routes) add(route, fieldsOf(route));
  for (const { route, other } of alternativesIn(routes)) add(other, fieldsOf(route));
  return routes.map((route) => {
    const names = fields.get(route.name);
    return names === undefined ? route : { ...route, vary: [...names].toSorted().join(", ") };
  });
}

/** Returns each pair of routes once, whichever of the two comes first. */
function once(pairs: readonly ConditionalPair[]): ConditionalPair[] {
  const kept = new Map<string, ConditionalPair>();
  for (const pair of pairs) {
    const key = [pair.name, pair.other].toSorted().join(" ");
    if (!kept.has(key)) kept.set(key, pair);
  }
  return [...kept.values()];
}

const fieldsOf = ({ match }: NamedRoute): string[] => Object.keys(match.header ?? {});

function conditionsOf({ match: { header = {}, query = {} } }: NamedRoute): string {
  return [
    ...Object.entries(header).map(([name, value]) => `${name}: ${value}`),
    ...Object.entries(query).map(([name, value]) => `?${name}=${value}`),
  ].join(" and ");
}

function isGuarded({ auth, access }: NamedRoute): boolean {
  return auth !== undefined || access.allow.length > 0 || access.deny.length > 0;
}

function haveSamePath(a: NamedRoute, b: NamedRoute): boolean {
  const [one, other] = [normalizedMatch(a.match), normalizedMatch(b.match)];
  return one.path === other.path && one.isPrefix === other.isPrefix;
}
