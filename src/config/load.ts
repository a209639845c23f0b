import type * as z from "zod";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import type { AppConfig, AppsFile } from "./apps-schema.ts";
import { type ConfigFiles, ON_DISK, YAML_ENDING } from "./config-files.ts";
import { type Conflict, findConflicts } from "./conflicts.ts";
import { findCookieConflicts } from "./cookie-conflicts.ts";
import { findH2cConflicts } from "./h2c-conflicts.ts";
import type { Env } from "./interpolate.ts";
import { jsonSchema, SCHEMAS, type SchemaName } from "./json-schema.ts";
import { nearest } from "./nearest.ts";
import { describeOwnBackend, ownBackends } from "./own-backends.ts";
import { inFileOrder, type Problem, spellPath } from "./problem.ts";
import type { RouteConfig, RouteFile } from "./route-schema.ts";
import { type Config, type ServerConfig, serverSchema, serverSchemaIn } from "./server-schema.ts";
import { describeSystemError } from "./text-file.ts";
import { unreadRoutes } from "./unread-routes.ts";
import { validate } from "./validate.ts";
import { type Path, parseYaml, type YamlFile } from "./yaml-file.ts";

/** A configuration, or all of its problems. */
export type Loaded = { readonly config: Config } | { readonly problems: readonly Problem[] };

const SERVER_FILE = "sluice.yaml";
const APPS_FILE = "apps.yaml";
const ROUTES = "routes";
const ROUTE_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** The inputs for reading a directory, and the list of its problems. */
interface Reading {
  readonly files: ConfigFiles;
  readonly env: Env;
  readonly problems: Problem[];
}

/** Reads a configuration directory. Returns every problem of every file at once; never throws. */
export function loadConfig(directory: string, env: Env, files: ConfigFiles = ON_DISK): Loaded {
  const root = withoutFinalSlashes(directory, 1);
  const problems: Problem[] = [];
  const reading = { files, env, problems };
  const names = listNames(root, "", reading);
  if (names === undefined) return { problems };
  problems.push(...strayFiles(root, names));
  const server = names.includes(SERVER_FILE) ? readServer(root, reading) : serverSchema.parse({});
  const apps = names.includes(APPS_FILE) ? readApps(`${root}/${APPS_FILE}`, reading) : [];
  const { routes, read } = readRoutes(`${root}/${ROUTES}`, apps, reading);
  if (server !== undefined) problems.push(...apartInWorkers(read, server), ...loops(read, server));
  if (problems.length > 0 || server === undefined || apps === undefined) {
    return { problems: inFileOrder(problems) };
  }
  return { config: { server, routes, apps } };
}

/** Returns the names in a directory, sorted, so that the result does not depend on the file system. */
function listNames(
  directory: string,
  missing: string,
  { files, problems }: Reading,
): readonly string[] | undefined {
  try {
    return files
      .names(directory)
      .filter((name) => !name.startsWith("."))
      .toSorted();
  } catch (error) {
    const message = describeSystemError(error) + missing;
    problems.push({ file: directory, at: undefined, key: "", message });
    return undefined;
  }
}

/** Returns a problem for each unknown YAML file beside sluice.yaml; other files are ignored. */
function strayFiles(root: string, names: readonly string[]): Problem[] {
  return names
    .filter((name) => YAML_ENDING.test(name) && name !== SERVER_FILE && name !== APPS_FILE)
    .map((name) => {
      const meant = nearest(name, [SERVER_FILE, APPS_FILE]);
      const hint = meant === undefined ? `routes belong in ${root}/${ROUTES}/` : `did you mean ${meant}?`;
      return { file: `${root}/${name}`, at: undefined, key: "", message: `unknown file; ${hint}` };
    });
}

interface ReadFile<T> {
  readonly value: T;
  readonly yaml: YamlFile;
}

function readFile<T>(
  path: string,
  name: SchemaName,
  { files, env, problems }: Reading,
  schema: z.ZodType = SCHEMAS[name],
): ReadFile<T> | undefined {
  const report = (key: string, message: string, at: Problem["at"]) => {
    problems.push({ file: path, at, key, message });
    return undefined;
  };
  const read = files.read(path);
  if ("problem" in read) return report("", read.problem.message, read.problem.at);
  const { file, problems: found } = parseYaml(read.text);
  for (const problem of found) report(spellPath(problem.path), problem.message, problem.at);
  if (file === undefined) return undefined;
  if (file.value === null && name === "route") {
    return report("", "the file is empty; expected at least match.path and upstream", undefined);
  }
  const yaml = file.value === null ? EMPTY : file;
  const validated = validate(yaml, { schema: schema as z.ZodType<T>, json: () => jsonSchema(name) }, env);
  if ("value" in validated) return found.length > 0 ? undefined : { value: validated.value, yaml };
  for (const problem of validated.problems) report(spellPath(problem.path), problem.message, problem.at);
  return undefined;
}

/** A file without any key: every key has its default. */
const EMPTY: YamlFile = {
  value: {},
  keyPosition: () => ({ line: 1, column: 1 }),
  valuePosition: () => ({ line: 1, column: 1 }),
};

interface ReadRoute extends ReadFile<RouteFile> {
  readonly name: string;
  readonly path: string;
}

function readServer(root: string, reading: Reading): ServerConfig | undefined {
  // A configuration given as objects names files relative to the working directory.
  const schema = serverSchemaIn(reading.files.isOnDisk ? root : ".");
  return readFile<ServerConfig>(`${root}/${SERVER_FILE}`, "server", reading, schema)?.value;
}

function readApps(path: string, reading: Reading): AppConfig[] | undefined {
  const file = readFile<AppsFile>(path, "apps", reading)?.value;
  return file && Object.entries(file).map(([name, app]) => ({ ...app, name }));
}

/** `apps` is undefined if apps.yaml has a problem: names of apps are then not checked. */
function readRoutes(
  directory: string,
  apps: readonly AppConfig[] | undefined,
  reading: Reading,
): { readonly routes: RouteConfig[]; readonly read: readonly ReadRoute[] } {
  const { problems } = reading;
  const example = "; expected at least one route file such as stream.yaml in it";
  const names = listNames(directory, example, reading);
  const files = names?.filter((name) => YAML_ENDING.test(name)) ?? [];
  if (names !== undefined && files.length === 0) {
    problems.push({ file: directory, at: undefined, key: "", message: `empty${example}` });
  }
  problems.push(...unreadRoutes(directory, names ?? [], reading.files));
  const seen = new Map<string, string>();
  const routes = files.flatMap((file): ReadRoute[] => {
    const path = `${directory}/${file}`;
    const name = file.replace(YAML_ENDING, "");
    const refusal = refusalOfName(name, seen.get(name));
    if (refusal !== undefined) problems.push({ file: path, at: undefined, key: "", message: refusal });
    seen.set(name, path);
    const read = readFile<RouteFile>(path, "route", reading);
    return read === undefined ? [] : [{ ...read, name, path }];
  });
  problems.push(...conflictProblems(routes), ...cookieProblems(routes), ...h2cProblems(routes));
  if (apps !== undefined) problems.push(...routes.flatMap((route) => unknownApps(route, apps)));
  if (apps !== undefined) problems.push(...routes.flatMap((route) => uselessAuth(route, apps)));
  return {
    routes: routes.map(({ name, value, path }) => ({ ...value, name, file: path })),
    read: routes,
  };
}

/** The keys whose streams several workers share through Redis, and what they would share. */
const SHARED_BY_WORKERS = [
  ["shared", "can share a stream"],
  ["resume", "can keep an answer for each other"],
] as const;

/** Refuses them with several workers and no Redis: each worker would have a backend request of its own. */
function apartInWorkers(routes: readonly ReadRoute[], { workers, redis }: ServerConfig): Problem[] {
  if (workers === 1 || redis !== null) return [];
  return SHARED_BY_WORKERS.flatMap(([key, can]) => {
    const message = `workers: ${workers} ${can} only through redis; set redis in ${SERVER_FILE}, or workers: 1`;
    return routes.flatMap(({ value, yaml, path: file }) =>
      value[key] === undefined ? [] : [{ file, at: yaml.keyPosition([key]), key, message }],
    );
  });
}

/** Returns a problem for each backend that is the gateway itself. */
function loops(routes: readonly ReadRoute[], server: ServerConfig): Problem[] {
  return routes.flatMap(({ value, yaml, path: file }) =>
    ownBackends(value, server).map((own) => {
      const path = writtenPart(yaml.value, own.path);
      const message = describeOwnBackend(own, `${own.key} in ${SERVER_FILE}`);
      return { file, at: yaml.valuePosition(path), key: spellPath(path), message };
    }),
  );
}

/**
 * Returns the longest start of a path that the file contains: the short form `upstream: URL` has no keys below
 * `upstream`.
 */
function writtenPart(value: unknown, path: Path): Path {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== "object" || value === null || !(step in value)) return [];
  return [step, ...writtenPart((value as Record<PropertyKey, unknown>)[step], rest)];
}

function unknownApps({ value, yaml, path: file }: ReadRoute, apps: readonly AppConfig[]): Problem[] {
  const names = apps.map(({ name }) => name);
  const written = (yaml.value as { auth?: { app?: unknown } }).auth?.app;
  const above: Path = Array.isArray(written) ? ["auth", "app"] : ["auth", "app", "apps"];
  return (value.auth?.app?.apps ?? []).flatMap((app, index) => {
    if (names.includes(app)) return [];
    const path = [...above, index];
    const meant = nearest(app, names);
    const hint = meant === undefined ? `${APPS_FILE} has no such app` : `did you mean ${meant}?`;
    return [
      { file, at: yaml.valuePosition(path), key: spellPath(path), message: `unknown app ${app}; ${hint}` },
    ];
  });
}

/** Returns a problem for each key of `auth` that can never accept a request. */
function uselessAuth({ value, yaml, path: file }: ReadRoute, apps: readonly AppConfig[]): Problem[] {
  const { auth, match } = value;
  const problem = (key: string, message: string): Problem => {
    return { file, at: yaml.keyPosition(["auth", key]), key: `auth.${key}`, message };
  };
  const takers = apps.filter(({ name }) => auth?.app?.apps.includes(name) ?? true);
  const hasNoCode = auth?.appCode === true && takers.every(({ appCodes }) => appCodes.length === 0);
  const hasNoGet = auth?.ticket !== undefined && match.methods?.includes("GET") === false;
  return [
    ...(hasNoCode ? [problem("appCode", `no app of this route has appCodes in ${APPS_FILE}`)] : []),
    ...(hasNoGet
      ? [problem("ticket", "a ticket is for a GET request, and match.methods does not contain GET")]
      : []),
  ];
}

function refusalOfName(name: string, other: string | undefined): string | undefined {
  if (other !== undefined) return `the same route name as ${other}`;
  if (ROUTE_NAME.test(name)) return undefined;
  return "expected a file name of at most 64 letters, digits, - and _, because it is the route's name";
}

function conflictProblems(routes: readonly ReadRoute[]): Problem[] {
  const byName = new Map(routes.map((route) => [route.name, route]));
  const matches = routes.map(({ name, value }) => ({ name, match: value.match }));
  return findConflicts(matches).flatMap((conflict) => {
    const route = byName.get(conflict.name);
    const other = byName.get(conflict.other);
    if (route === undefined || other === undefined) return [];
    const key = "match.path";
    const at = route.yaml.valuePosition(["match", "path"]);
    return [{ file: route.path, at, key, message: describeConflict(conflict, other) }];
  });
}

function cookieProblems(routes: readonly ReadRoute[]): Problem[] {
  const path = ["upstream", "sticky", "cookie"];
  const byName = new Map(routes.map((route) => [route.name, route]));
  const named = routes.map(({ name, value }) => ({ name, match: value.match, upstream: value.upstream }));
  return findCookieConflicts(named).flatMap((names) => {
    const [route, other] = names.map((name) => byName.get(name));
    if (route === undefined || other === undefined) return [];
    const { line, column } = other.yaml.valuePosition(path);
    const message = `the same cookie as ${other.path}:${line}:${column} for other backends: each route would replace the other's; expected another name`;
    return [{ file: route.path, at: route.yaml.valuePosition(path), key: spellPath(path), message }];
  });
}

function h2cProblems(routes: readonly ReadRoute[]): Problem[] {
  const path = ["upgrade"];
  const conflicts = findH2cConflicts(routes.map(({ name, value }) => ({ ...value, name })));
  return conflicts.flatMap(([name, passed]) => {
    const route = routes.find((one) => one.name === name);
    if (route === undefined) return [];
    const message = `expected no h2c: in the tunnel a client reaches the backend of the route ${passed} without its auth and access`;
    return [{ file: route.path, at: route.yaml.valuePosition(path), key: spellPath(path), message }];
  });
}

function describeConflict({ methods }: Conflict, other: ReadRoute): string {
  const { line, column } = other.yaml.valuePosition(["match", "path"]);
  const what = methods === undefined ? "the same match" : `the same match, for ${methods.join(", ")},`;
  return `${what} as ${other.path}:${line}:${column}; one of the two is never reached`;
}
