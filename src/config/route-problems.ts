import type { AppConfig } from "./apps-schema.ts";
import { findCorsConflicts } from "./conditional-routes.ts";
import { type Conflict, findConflicts } from "./conflicts.ts";
import { findCookieConflicts } from "./cookie-conflicts.ts";
import { isOwn, type Layers, problemAt, problemHere } from "./defaults.ts";
import { findH2cConflicts } from "./h2c-conflicts.ts";
import { nearest } from "./nearest.ts";
import { describeOwnBackend, ownBackends } from "./own-backends.ts";
import { type Problem, spellPath } from "./problem.ts";
import type { RouteFile } from "./route-schema.ts";
import type { ServerConfig } from "./server-schema.ts";
import { isUnusedPrefix } from "./unused-prefix.ts";

/** A valid route file, with its defaults. */
export interface ReadRoute extends Layers {
  readonly name: string;
  readonly value: RouteFile;
}

/** Returns the problems of routes with each other, and with the apps; `apps` is undefined if apps.yaml has a problem. */
export function problemsBetween(
  routes: readonly ReadRoute[],
  apps: readonly AppConfig[] | undefined,
): Problem[] {
  return [
    ...conflictProblems(routes),
    ...cookieProblems(routes),
    ...h2cProblems(routes),
    ...corsProblems(routes),
    ...routes.flatMap(unlimitedAppCode),
    ...routes.flatMap(unusedPrefixes),
    ...(apps === undefined ? [] : routes.flatMap((route) => unknownApps(route, apps))),
    ...(apps === undefined ? [] : routes.flatMap((route) => uselessAuth(route, apps))),
  ];
}

/** Returns the problems of routes with the settings of the server. */
export function problemsWithServer(routes: readonly ReadRoute[], server: ServerConfig): Problem[] {
  return [...apartInWorkers(routes, server), ...loops(routes, server)];
}

/** The keys that workers need Redis for, and what they can do through it. */
export const SHARED_BY_WORKERS = [
  ["shared", "can share a stream"],
  ["resume", "can keep an answer for each other"],
] as const;

/** Refuses them with several workers and no Redis: each worker would have a backend request of its own. */
function apartInWorkers(routes: readonly ReadRoute[], { workers, redis }: ServerConfig): Problem[] {
  if (workers === 1 || redis !== null) return [];
  return SHARED_BY_WORKERS.flatMap(([key, can]) => {
    const message = `workers: ${workers} ${can} only through redis; set redis in sluice.yaml, or workers: 1`;
    return routes.flatMap((route) =>
      route.value[key] === undefined ? [] : [problemAt(route, [key], message, "key")],
    );
  });
}

/** Returns a problem for each backend that is the gateway itself. */
function loops(routes: readonly ReadRoute[], server: ServerConfig): Problem[] {
  return routes.flatMap((route) =>
    ownBackends(route.value, server).map((own) =>
      problemAt(route, own.path, describeOwnBackend(own, `${own.key} in sluice.yaml`)),
    ),
  );
}

function unknownApps(route: ReadRoute, apps: readonly AppConfig[]): Problem[] {
  const names = apps.map(({ name }) => name);
  return (route.value.auth?.app?.apps ?? []).flatMap((app, index) => {
    if (names.includes(app)) return [];
    const meant = nearest(app, names);
    const hint = meant === undefined ? "apps.yaml has no such app" : `did you mean ${meant}?`;
    const forms = [
      ["auth", "app", index],
      ["auth", "app", "apps", index],
    ] as const;
    const problems = forms.map((path) => problemAt(route, path, `unknown app ${app}; ${hint}`));
    // `app: [NAME]` is short for `app: { apps: [NAME] }`; the problem of the written form has the longer key.
    return problems.toSorted((a, b) => b.key.length - a.key.length).slice(0, 1);
  });
}

/**
 * Refuses a route whose `appCode` takes the default `auth.app` off, as any other credential would: it would accept every
 * app, although the defaults name some.
 */
function unlimitedAppCode({ value, path: file, own, defaults }: ReadRoute): Problem[] {
  const preset = defaults?.value["auth"] as { readonly app?: unknown } | undefined;
  if (value.auth?.appCode !== true || value.auth.app !== undefined) return [];
  if (defaults === undefined || preset?.app === undefined) return [];
  const { line, column } = defaults.yaml.keyPosition(["defaults", "auth", "app"]);
  const path = ["auth", "appCode"];
  const message = `expected auth.app beside it, with the apps of this route: the default (${defaults.file}:${line}:${column}) does not hold for a route with another credential, and without auth.app every app that has a code is accepted`;
  return [{ file, at: own.keyPosition(path), key: spellPath(path), message }];
}

/** Returns a problem for each key of `auth` that can never accept a request. */
function uselessAuth(route: ReadRoute, apps: readonly AppConfig[]): Problem[] {
  const { auth, match } = route.value;
  const takers = apps.filter(({ name }) => auth?.app?.apps.includes(name) ?? true);
  const hasNoCode = auth?.appCode === true && takers.every(({ appCodes }) => appCodes.length === 0);
  const hasNoGet = auth?.ticket !== undefined && match.methods?.includes("GET") === false;
  return [
    ...(hasNoCode
      ? [problemHere(route, ["auth", "appCode"], "no app of this route has appCodes in apps.yaml", "key")]
      : []),
    ...(hasNoGet
      ? [
          problemHere(
            route,
            ["auth", "ticket"],
            "a ticket is for a GET request, and match.methods does not contain GET",
            "key",
          ),
        ]
      : []),
  ];
}

/**
 * Refuses a `stripPrefix` that would never be removed: one of the two paths is wrong. A default is accepted, because
 * other routes may need it.
 */
function unusedPrefixes(route: ReadRoute): Problem[] {
  const { match, rewrite, stages } = route.value;
  const all = [
    { path: ["rewrite", "stripPrefix"], rewrite },
    ...Object.entries(stages).map(([name, stage]) => ({
      path: ["stages", name, "rewrite", "stripPrefix"],
      rewrite: stage.rewrite,
    })),
  ];
  return all
    .filter(({ path, rewrite: { stripPrefix } }) => isOwn(route, path) && isUnusedPrefix(stripPrefix, match))
    .map(({ path, rewrite: { stripPrefix } }) =>
      problemAt(
        route,
        path,
        `no path of this route begins with ${stripPrefix}; expected the beginning of match.path, which is ${match.path}`,
      ),
    );
}

function conflictProblems(routes: readonly ReadRoute[]): Problem[] {
  const byName = new Map(routes.map((route) => [route.name, route]));
  const matches = routes.map(({ name, value }) => ({ name, match: value.match }));
  return findConflicts(matches).flatMap((conflict) => {
    const route = byName.get(conflict.name);
    const other = byName.get(conflict.other);
    if (route === undefined || other === undefined) return [];
    return [problemAt(route, ["match", "path"], describeConflict(conflict, other))];
  });
}

function cookieProblems(routes: readonly ReadRoute[]): Problem[] {
  const path = ["upstream", "sticky", "cookie"];
  const byName = new Map(routes.map((route) => [route.name, route]));
  const named = routes.map(({ name, value }) => ({ name, match: value.match, upstream: value.upstream }));
  return findCookieConflicts(named).flatMap((names) => {
    const [route, other] = names.map((name) => byName.get(name));
    if (route === undefined || other === undefined) return [];
    const { line, column } = other.own.valuePosition(path);
    const message = `the same cookie as ${other.path}:${line}:${column} for other backends: each route would replace the other's; expected another name`;
    return [problemHere(route, path, message)];
  });
}

function h2cProblems(routes: readonly ReadRoute[]): Problem[] {
  const path = ["upgrade"];
  const conflicts = findH2cConflicts(routes.map(({ name, value }) => ({ ...value, name })));
  return conflicts.flatMap(([name, passed]) => {
    const route = routes.find((one) => one.name === name);
    if (route === undefined) return [];
    const message = `expected no h2c: in the tunnel a client reaches the backend of the route ${passed} without its auth and access`;
    return [problemHere(route, path, message)];
  });
}

function corsProblems(routes: readonly ReadRoute[]): Problem[] {
  const byName = new Map(routes.map((route) => [route.name, route]));
  const conflicts = findCorsConflicts(routes.map(({ name, value }) => ({ ...value, name })));
  return conflicts.flatMap(({ name, other, conditions }) => {
    const [route, alternative] = [byName.get(name), byName.get(other)];
    if (route === undefined || alternative === undefined) return [];
    const message = `expected the same cors as in ${alternative.path}, which serves the requests with another ${conditions}: a preflight does not carry the value of a field`;
    return [problemHere(route, ["cors"], message, "key")];
  });
}

function describeConflict({ methods, isPartial }: Conflict, other: ReadRoute): string {
  const { line, column } = other.own.valuePosition(["match", "path"]);
  if (isPartial) {
    return `a request can meet the conditions of this route and of ${other.path}:${line}:${column}, which has as many; expected one more condition in one of them, or another value of the same field or parameter`;
  }
  const what = methods === undefined ? "the same match" : `the same match, for ${methods.join(", ")},`;
  return `${what} as ${other.path}:${line}:${column}; one of the two is never reached`;
}
