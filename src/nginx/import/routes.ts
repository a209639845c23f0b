import { spellPath } from "../../config/problem.ts";
import { type RouteInput, routeSchema } from "../../config/route-schema.ts";
import { type Configuration, levelsOf } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { isRegex, modifierOf } from "../locations.ts";
import { findTarget } from "../target.ts";
import type { NginxVersion } from "../version.ts";
import { upstreamOf } from "./backends.ts";
import { covers, type Draft, type LeftOut, noteCoverage } from "./coverage.ts";
import { guardsOf, takenMethods } from "./guards.ts";
import { noteLeftovers, ownNames } from "./leftovers.ts";
import { accessOf, limitsOf, NOBODY } from "./limits.ts";
import { hostsOf, pathsOf } from "./matches.ts";
import { grouped, merged } from "./merge.ts";
import { mockOf } from "./mocks.ts";
import { type Note, Notes, NotImported } from "./notes.ts";
import { requestEdits, takesWebSockets } from "./request-fields.ts";
import { corsOf, isPreflight, responseEdits } from "./response-fields.ts";
import { rewriteFor, rewriteOf } from "./rewrites.ts";
import { Scope } from "./scope.ts";
import { urlFieldsOf } from "./url-fields.ts";

/** A route that was imported from a location. */
export interface ImportedRoute {
  readonly name: string;
  readonly route: RouteInput;
  /** The location. */
  readonly from: Directive;
  readonly notes: readonly Note[];
}

export interface Imported {
  readonly routes: readonly ImportedRoute[];
  /** The notes on everything that is in no route. */
  readonly left: readonly Note[];
}

export interface ImportOptions {
  readonly version: NginxVersion;
  /** Only servers with this name; undefined for all. */
  readonly server: string | undefined;
}

/** The maximum number of routes of one import: more route files cannot be maintained by hand. */
const MAX_ROUTES = 10_000;

/** Returns the names of all servers. */
export const serverNames = (configuration: Configuration): string[] => [
  ...new Set(levelsOf(configuration, "server").flatMap(namesOf)),
];

const namesOf = (server: Level): readonly string[] => server.own("server_name").flatMap(({ args }) => args);

/** Converts the locations that proxy, and those with a fixed response, into routes. */
export function importRoutes(
  configuration: Configuration,
  { version, server: only }: ImportOptions,
): Imported {
  const drafts: Draft[] = [];
  const left = new Notes();
  for (const server of levelsOf(configuration, "server")) {
    if (only !== undefined && !namesOf(server).includes(only)) continue;
    try {
      drafts.push(...draftsOf(configuration, version, server, left, MAX_ROUTES - drafts.length));
    } catch (error) {
      take(error, left);
    }
  }
  for (const level of configuration.main.inward()) {
    const [at] = level.directives;
    if (at === undefined || !["main", "http"].includes(level.kind)) continue;
    noteOwn(level, level.directive ?? at, left);
  }
  return { routes: named(grouped(merged(drafts, left))), left: left.all };
}

function draftsOf(
  configuration: Configuration,
  version: NginxVersion,
  server: Level,
  left: Notes,
  maxRoutes: number,
): Draft[] {
  const { directive } = server;
  const answer = server.last("return");
  if (answer !== undefined)
    throw new NotImported(answer, "the server answers every request itself; leave it to nginx");
  const hosts = hostsOf(server, left);
  if (directive !== undefined) noteOwn(server, directive, left);
  const drafts: Draft[] = [];
  const leftOut: LeftOut[] = [];
  for (const location of server.inward()) {
    const at = location.directive;
    if (location.kind !== "location" || at === undefined) continue;
    const scope = new Scope(configuration, version, server, location, at, new Notes());
    try {
      drafts.push(...convert(scope, hosts));
    } catch (error) {
      if (!(error instanceof NotImported)) throw error;
      const closed = closedRoutes(scope, hosts);
      if (closed.length === 0) leftOut.push({ location, at: error.at, message: error.message });
      else
        left.add(
          error.at,
          `not imported: ${error.message}; its route answers 403, so that no other route gets its requests`,
        );
      drafts.push(...closed);
    }
    if (drafts.length > maxRoutes) {
      throw new NotImported(at, `this makes more than ${MAX_ROUTES} routes; name one server with --server`);
    }
  }
  const { needed, useless } = splitNotFound(drafts);
  noteCoverage(leftOut, needed, left);
  for (const { from } of useless)
    left.add(from, "not imported: sluice answers 404 for every path without a route");
  return needed;
}

/** Splits off the routes that answer 404 although no other route covers their path: they are not needed. */
function splitNotFound(drafts: readonly Draft[]): { readonly needed: Draft[]; readonly useless: Draft[] } {
  const isUseless = (draft: Draft) =>
    isNotFound(draft) &&
    !drafts.some(
      ({ route }) =>
        route.match.path !== draft.route.match.path &&
        covers(route.match.path, draft.route.match.path.replace(/\/\*$/, "")),
    );
  return { needed: drafts.filter((draft) => !isUseless(draft)), useless: drafts.filter(isUseless) };
}

const isNotFound = ({ route: { mock } }: Draft): boolean => mock?.status === 404 && mock.body === undefined;

/** Notes a NotImported; throws any other error. */
function take(error: unknown, left: Notes): void {
  if (!(error instanceof NotImported)) throw error;
  left.add(error.at, `not imported: ${error.message}`);
}

/** Adds one note for all directives of a level that concern nginx itself. */
function noteOwn(level: Level, at: Directive, left: Notes): void {
  const names = ownNames(level).filter((name) => name !== "http" && name !== "events");
  if (names.length > 0) {
    left.add(at, `not imported: settings of nginx (see sluice.yaml for sluice's): ${names.join(", ")}`);
  }
}

/** Converts one location into routes, one per host and path. Throws NotImported. */
function convert(scope: Scope, hosts: readonly (string | undefined)[]): Draft[] {
  const { directive, notes } = scope;
  const paths = pathsOf(scope);
  const methods = takenMethods(scope);
  const { rewrite, ...body } = bodyOf(scope);
  return hosts.flatMap((host) =>
    paths.map((path): Draft => {
      const match = {
        ...(host !== undefined && { host }),
        path,
        ...(methods && { methods }),
      } as RouteInput["match"];
      const changed = rewriteFor(path, rewrite);
      const route = { match, ...body, ...(changed && { rewrite: changed }) };
      checkRoute(route, directive);
      return { route, from: directive, notes: notes.all };
    }),
  );
}

/** Throws NotImported for a value that the schema refuses: one such location must not stop the whole import. */
function checkRoute(route: RouteInput, at: Directive): void {
  const issue = routeSchema.safeParse(route).error?.issues[0];
  if (issue === undefined) return;
  throw new NotImported(at, `${spellPath(issue.path)} of its route would be invalid: ${issue.message}`);
}

/** Returns routes that answer 403 for a guarded location that cannot be imported; a wider route would open it. */
function closedRoutes(scope: Scope, hosts: readonly (string | undefined)[]): Draft[] {
  if (isRegex(scope.location) || modifierOf(scope.location) === "@") return [];
  if (guardsOf(scope).length === 0 && accessOf(scope) === undefined) return [];
  try {
    return hosts.flatMap((host) =>
      pathsOf(scope).map((path): Draft => {
        const route = { match: { ...(host !== undefined && { host }), path }, mock: { status: 403 } };
        checkRoute(route, scope.directive);
        return { route, from: scope.directive, notes: scope.notes.all };
      }),
    );
  } catch (error) {
    // sluice itself refuses such a path.
    if (error instanceof NotImported) return [];
    throw error;
  }
}

function bodyOf(scope: Scope): Omit<RouteInput, "match"> {
  const destination = destinationOf(scope);
  const request = requestEdits(scope);
  const response = responseEdits(scope);
  const cors = corsOf(scope);
  const limits = limitsOf(scope);
  const guards = guardsOf(scope);
  const access = accessOf(scope);
  for (const at of guards) {
    scope.notes.add(
      at,
      `guards the location and has no counterpart: the route is closed (no client has ${NOBODY}) until you replace it with auth or access`,
    );
  }
  const isConverted = (at: Directive) => guards.includes(at) || isConvertedIf(at, scope);
  noteLeftovers(scope, isConverted);
  return {
    ...destination,
    ...((request ?? response) && { headers: { ...(request && { request }), ...(response && { response }) } }),
    ...(cors && { cors }),
    ...(guards.length > 0 ? { access: { allow: [NOBODY] } } : access && { access }),
    ...(limits && { limits }),
    ...(takesWebSockets(scope) && "upstream" in destination && { websocket: true }),
  };
}

/** Whether an `if` was converted to cors or methods. */
function isConvertedIf(at: Directive, scope: Scope): boolean {
  const level = [...scope.ifs(), ...scope.ifs(scope.server)].find(({ directive }) => directive === at);
  if (level === undefined) return false;
  return isPreflight(level) || (takenMethods(scope) !== undefined && /\$request_method\s+!~/.test(at.value));
}

function destinationOf(scope: Scope): Pick<RouteInput, "upstream" | "rewrite"> | Pick<RouteInput, "mock"> {
  const target = findTarget(scope.location, scope.configuration);
  const { location, notes, directive } = scope;
  const internal = location.last("internal");
  if (internal !== undefined) {
    notes.add(internal, "clients get 404");
    return { mock: { status: 404 } };
  }
  if (target !== undefined) {
    const upstream = upstreamOf({ scope, target });
    const rewrite = { ...rewriteOf({ scope, target }), ...urlFieldsOf({ scope, target }) };
    return { upstream, ...(Object.keys(rewrite).length > 0 && { rewrite }) };
  }
  const inner = scope
    .ifs()
    .map((level) => level.last("proxy_pass"))
    .find((at) => at !== undefined);
  if (inner !== undefined)
    throw new NotImported(inner, "proxy_pass depends on a condition; write the routes by hand");
  const answer = location.last("return");
  if (answer !== undefined) return { mock: mockOf(scope, answer) };
  if (location.own("deny").some(({ value }) => value === "all") && location.own("allow").length === 0) {
    return { mock: { status: 403 } };
  }
  throw new NotImported(directive, "the location does not proxy; leave it to nginx");
}

const MAX_NAME_LENGTH = 60;

/** Gives each route a unique name from its host and path. */
function named(drafts: readonly Draft[]): ImportedRoute[] {
  const taken = new Set<string>();
  const hosts = new Set(drafts.map(({ route }) => String(route.match.host)));
  return drafts.map((draft) => {
    const { host, path } = draft.route.match;
    const first = [host].flat()[0];
    const words = `${hosts.size > 1 && first !== undefined ? `${first}-` : ""}${path.replace(/\*$/, "")}`;
    const base = words
      .replace(/%[0-9A-F]{2}|[^A-Za-z0-9_]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, MAX_NAME_LENGTH);
    let name = base === "" ? "root" : base;
    for (let number = 2; taken.has(name.toLowerCase()); number += 1)
      name = `${base === "" ? "root" : base}-${number}`;
    taken.add(name.toLowerCase());
    return { name, ...draft };
  });
}
