import type * as z from "zod";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import type { AppConfig, AppsFile } from "./apps-schema.ts";
import { withVary } from "./conditional-routes.ts";
import { type ConfigFiles, ON_DISK, YAML_ENDING } from "./config-files.ts";
import { type Defaults, defaultsIn, explained, layered } from "./defaults.ts";
import type { Env } from "./interpolate.ts";
import { jsonSchema, SCHEMAS, type SchemaName } from "./json-schema.ts";
import { nearest } from "./nearest.ts";
import { formatProblem, inFileOrder, type Problem, spellPath } from "./problem.ts";
import { problemsBetween, problemsWithServer, type ReadRoute } from "./route-problems.ts";
import { type RouteFile, routeSchema } from "./route-schema.ts";
import { type Config, type ServerConfig, serverSchema, serverSchemaIn } from "./server-schema.ts";
import { describeSystemError } from "./text-file.ts";
import { unreadRoutes } from "./unread-routes.ts";
import { type PositionedProblem, validate } from "./validate.ts";
import { parseYaml, type YamlFile } from "./yaml-file.ts";

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
  const { server, defaults } = names.includes(SERVER_FILE)
    ? readServer(root, reading)
    : { server: serverSchema.parse({}), defaults: undefined };
  const apps = names.includes(APPS_FILE) ? readApps(`${root}/${APPS_FILE}`, reading) : [];
  const read = readRoutes(`${root}/${ROUTES}`, defaults, reading);
  problems.push(...problemsBetween(read, apps));
  if (server !== undefined) problems.push(...problemsWithServer(read, server));
  if (problems.length > 0 || server === undefined || apps === undefined) {
    return { problems: inFileOrder(withoutRepetitions(problems)) };
  }
  const routes = withVary(read.map(({ name, value, path }) => ({ ...value, name, file: path })));
  return { config: { server, routes, apps } };
}

/** Returns each problem once: a default that does not suit the server is found at every route. */
function withoutRepetitions(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [formatProblem(problem), problem])).values()];
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
  readonly yaml: YamlFile;
  /** Undefined if the file has a problem. */
  readonly value: T | undefined;
  readonly problems: readonly PositionedProblem[];
}

/** Reads a file and validates it. Reports the problems of its text, and returns those of its values. */
function readFile<T>(
  path: string,
  name: SchemaName,
  { files, env, problems }: Reading,
  { schema = SCHEMAS[name], defaults }: { schema?: z.ZodType; defaults?: Defaults | undefined } = {},
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
  const known = { schema: schema as z.ZodType<T>, json: () => jsonSchema(name) };
  const validated = validate(layered(yaml, defaults), known, env);
  if ("problems" in validated) return { yaml, value: undefined, problems: validated.problems };
  return { yaml, value: found.length > 0 ? undefined : validated.value, problems: [] };
}

/** A file without any key: every key has its default. */
const EMPTY: YamlFile = {
  value: {},
  keyPosition: () => ({ line: 1, column: 1 }),
  valuePosition: () => ({ line: 1, column: 1 }),
};

/** Returns the server's settings, undefined if they have a problem, and the defaults of the routes. */
function readServer(
  root: string,
  reading: Reading,
): { readonly server: ServerConfig | undefined; readonly defaults: Defaults | undefined } {
  // A configuration given as objects names files relative to the working directory.
  const schema = serverSchemaIn(reading.files.isOnDisk ? root : ".");
  const path = `${root}/${SERVER_FILE}`;
  const read = readFile<ServerConfig>(path, "server", reading, { schema });
  if (read === undefined) return { server: undefined, defaults: undefined };
  const { yaml, value, problems } = read;
  reading.problems.push(...explained(problems, { path, own: yaml, defaults: undefined }));
  const areValid = problems.every((problem) => problem.path[0] !== "defaults");
  return { server: value, defaults: defaultsIn(path, yaml, areValid) };
}

function readApps(path: string, reading: Reading): AppConfig[] | undefined {
  const read = readFile<AppsFile>(path, "apps", reading);
  if (read === undefined) return undefined;
  reading.problems.push(...explained(read.problems, { path, own: read.yaml, defaults: undefined }));
  const file = read.value;
  return file && Object.entries(file).map(([name, app]) => ({ ...app, name }));
}

/** Returns the routes without a problem of their own. */
function readRoutes(directory: string, defaults: Defaults | undefined, reading: Reading): ReadRoute[] {
  const { problems } = reading;
  const example = "; expected at least one route file such as stream.yaml in it";
  const names = listNames(directory, example, reading);
  const files = names?.filter((name) => YAML_ENDING.test(name)) ?? [];
  if (names !== undefined && files.length === 0) {
    problems.push({ file: directory, at: undefined, key: "", message: `empty${example}` });
  }
  problems.push(...unreadRoutes(directory, names ?? [], reading.files));
  const seen = new Map<string, string>();
  return files.flatMap((file): ReadRoute[] => {
    const path = `${directory}/${file}`;
    const name = file.replace(YAML_ENDING, "");
    const refusal = refusalOfName(name, seen.get(name));
    if (refusal !== undefined) problems.push({ file: path, at: undefined, key: "", message: refusal });
    seen.set(name, path);
    const route = readRoute(path, defaults, reading);
    return route === undefined ? [] : [{ ...route, name }];
  });
}

function readRoute(
  path: string,
  defaults: Defaults | undefined,
  reading: Reading,
): Omit<ReadRoute, "name"> | undefined {
  const read = readFile<RouteFile>(path, "route", reading, { defaults });
  if (read === undefined) return undefined;
  const { yaml: own, value, problems } = read;
  const layers = { path, own, defaults };
  const schema = { schema: routeSchema as z.ZodType<RouteFile>, json: () => jsonSchema("route") };
  const problemsWith = (others: Defaults["value"]) => {
    const validated = validate(layered(own, { value: others }), schema, reading.env);
    return "problems" in validated ? validated.problems : [];
  };
  reading.problems.push(...explained(problems, layers, problemsWith));
  return value === undefined ? undefined : { ...layers, value };
}

function refusalOfName(name: string, other: string | undefined): string | undefined {
  if (other !== undefined) return `the same route name as ${other}`;
  if (ROUTE_NAME.test(name)) return undefined;
  return "expected a file name of at most 64 letters, digits, - and _, because it is the route's name";
}
