import { withDefaults } from "./merge-defaults.ts";
import { type Problem, spellPath } from "./problem.ts";
import type { PositionedProblem } from "./validate.ts";
import type { Path, YamlFile } from "./yaml-file.ts";

/** The `defaults` of sluice.yaml as they are written, with their places. */
export interface Defaults {
  readonly file: string;
  readonly yaml: YamlFile;
  readonly value: Readonly<Record<string, unknown>>;
  /** Whether they are valid by themselves. If not, their problems were reported at their place. */
  readonly areValid: boolean;
}

/** A route file, and the defaults that were merged into it. */
export interface Layers {
  readonly path: string;
  /** The file alone. */
  readonly own: YamlFile;
  readonly defaults: Defaults | undefined;
}

/** Returns the defaults in the text of a sluice.yaml; undefined if it has none. */
export function defaultsIn(file: string, yaml: YamlFile, areValid: boolean): Defaults | undefined {
  const { defaults } = yaml.value as { defaults?: unknown };
  if (typeof defaults !== "object" || defaults === null || Array.isArray(defaults)) return undefined;
  return { file, yaml, value: defaults as Defaults["value"], areValid };
}

/** Returns a route file with its defaults; a key that only the defaults have has the place of the nearest key above. */
export function layered(own: YamlFile, defaults: Pick<Defaults, "value"> | undefined): YamlFile {
  if (defaults === undefined) return own;
  return {
    value: withDefaults(own.value, defaults.value),
    keyPosition: (path) => own.keyPosition(path),
    valuePosition: (path) => own.valuePosition(path),
  };
}

/** The part of a `key: value` that a problem points to. */
type Part = "key" | "value";

const positionIn = (yaml: YamlFile, path: Path, part: Part) =>
  part === "key" ? yaml.keyPosition(path) : yaml.valuePosition(path);

/**
 * Returns a problem of one value: at its place in the route's file, or at that in sluice.yaml if it is a default. The
 * same default of many routes gives equal problems.
 */
export function problemAt(
  { path: file, own, defaults }: Layers,
  path: Path,
  message: string,
  part: Part = "value",
): Problem {
  const written = writtenPart(own.value, path);
  const preset = writtenPart(defaults?.value, path);
  if (defaults === undefined || written.length >= preset.length) {
    return { file, at: positionIn(own, written, part), key: spellPath(written), message };
  }
  const inFile = ["defaults", ...preset];
  return {
    file: defaults.file,
    at: positionIn(defaults.yaml, inFile, part),
    key: spellPath(inFile),
    message,
  };
}

/** Returns a problem of a value that does not suit this route: in the route's file, with the place of a default. */
export function problemHere(
  { path: file, own, defaults }: Layers,
  path: Path,
  message: string,
  part: Part = "value",
): Problem {
  const isNearer = writtenPart(own.value, path).length >= writtenPart(defaults?.value, path).length;
  const note = isNearer || defaults === undefined ? "" : noteOf(defaults, [String(path[0])], path);
  return { file, at: positionIn(own, path, part), key: spellPath(path), message: message + note };
}

/** Whether the route file has the value itself. */
export const isOwn = ({ own }: Layers, path: Path): boolean =>
  writtenPart(own.value, path).length === path.length;

/**
 * Returns the longest start of a path that a value contains: the short form `upstream: URL` has no keys below
 * `upstream`.
 */
function writtenPart(value: unknown, path: Path): Path {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== "object" || value === null || !(step in value)) return [];
  return [step, ...writtenPart((value as Record<PropertyKey, unknown>)[step], rest)];
}

/**
 * Adds the place of the defaults to the problems of a route that the route file would not have without them.
 * `validateWith` returns the problems of the route with other defaults.
 */
export function explained(
  problems: readonly PositionedProblem[],
  { path: file, defaults }: Layers,
  validateWith: (defaults: Defaults["value"]) => readonly PositionedProblem[] = () => [],
): Problem[] {
  const plain = ({ path, at, message }: PositionedProblem): Problem => ({
    ...{ file, at, message },
    key: spellPath(path),
  });
  if (defaults === undefined || problems.length === 0) return problems.map(plain);
  const remaining = Object.keys(defaults.value).map((key) => {
    const { [key]: _, ...others } = defaults.value;
    return { key, problems: new Set(validateWith(others).map(identityOf)) };
  });
  return problems.flatMap((problem) => {
    const identity = identityOf(problem);
    const causes = remaining.filter((without) => !without.problems.has(identity)).map(({ key }) => key);
    if (causes.length === 0) return [plain(problem)];
    if (!defaults.areValid) return [];
    const message = problem.message + noteOf(defaults, causes, problem.path);
    return [{ ...plain(problem), message }];
  });
}

const identityOf = ({ path, message }: PositionedProblem): string => JSON.stringify([path, message]);

/** Returns the end of a message: the places of the keys in `defaults`, and how the route takes one off. */
function noteOf({ file, yaml }: Defaults, keys: readonly string[], path: Path): string {
  const places = keys.map((key) => {
    const { line, column } = yaml.keyPosition(["defaults", key]);
    return `${key} is a default (${file}:${line}:${column})`;
  });
  const offKey = [path.slice(0, 2), path.slice(0, 1)]
    .map(spellPath)
    .find((spelled) => Object.hasOwn(OFF_FORMS, spelled));
  const isOff = offKey !== undefined && keys.includes(String(path[0]));
  return `; ${places.join(", ")}${isOff ? `; ${offKey}: ${OFF_FORMS[offKey]} takes it off` : ""}`;
}

/** The values with which a route takes a default off. */
const OFF_FORMS: Readonly<Record<string, string>> = {
  auth: "off",
  "auth.ticket": "off",
  shared: "off",
  resume: "off",
  llm: "off",
  cors: "false",
  upgrade: "[]",
  "limits.tokens": "[]",
  "upstream.healthCheck": "off",
  "upstream.sticky": "off",
  "upstream.tls": "off",
  "upstream.sign": "off",
};
