import type * as z from "zod";
import { type Env, interpolate, type UsedVariable } from "./interpolate.ts";
import type { JsonSchema } from "./json-schema.ts";
import type { SourcePosition } from "./problem.ts";
import { phrase, problemsIn, type SchemaProblem, withRemedy } from "./schema-problems.ts";
import type { Path, YamlFile } from "./yaml-file.ts";

/** One problem in a file, with its place. */
export interface PositionedProblem {
  readonly path: Path;
  readonly at: SourcePosition;
  readonly message: string;
}

export type Validated<T> = { readonly value: T } | { readonly problems: readonly PositionedProblem[] };

/** Fills in the variables of a parsed file and validates it; `json` is the same schema, for the names of known keys. */
export function validate<T>(
  file: YamlFile,
  { schema, json }: { schema: z.ZodType<T>; json: () => JsonSchema },
  env: Env,
): Validated<T> {
  const { value, problems: unset, wholes, used } = interpolate(file.value, env);
  const result = parse(schema, value, wholes);
  if (result.success && unset.length === 0) return { value: result.data };
  const isUnset = new Set(unset.map(({ path }) => JSON.stringify(path)));
  const invalid = result.success
    ? []
    : problemsIn(result.error.issues, json()).filter(({ path }) => !isUnset.has(JSON.stringify(path)));
  return {
    problems: [
      ...unset.map(({ path, message }) => ({ path, message, at: file.valuePosition(path) })),
      ...invalid.map((problem) => {
        const { path, isKey, isMissing } = problem;
        const message = withOrigin(problem, used);
        if (isMissing) return { path, message, at: file.keyPosition(path.slice(0, -1)) };
        return { path, message, at: isKey ? file.keyPosition(path) : file.valuePosition(path) };
      }),
    ],
  };
}

/** Returns a problem's text with the variable that the value came from, never with a part of a variable's value. */
function withOrigin(problem: SchemaProblem, used: readonly UsedVariable[]): string {
  const source = used.find(({ path }) => path.every((step, at) => step === problem.path[at]));
  if (source === undefined) return withRemedy(problem);
  return source.isEmpty
    ? `${problem.message}; the environment variable ${source.name} is empty`
    : `${problem.message}; the value is that of the environment variable ${source.name}`;
}

type Parsed<T> = z.ZodSafeParseResult<T>;

/**
 * Parses a value; the text of a variable is converted where the schema expects a number or a boolean.
 *
 * The schema decides, not the look of the text, so that `X-Token: ${TOKEN}` stays a text even if the token consists of
 * digits.
 */
function parse<T>(schema: z.ZodType<T>, value: unknown, wholes: readonly Path[]): Parsed<T> {
  const options = { error: phrase, reportInput: true };
  const first = schema.safeParse(value, options);
  if (first.success || wholes.length === 0) return first;
  const expected = new Map<string, Set<string>>();
  collectTypes(first.error.issues, [], expected);
  let isChanged = false;
  for (const path of wholes) {
    const types = expected.get(JSON.stringify(path)) ?? new Set();
    isChanged = replaceAt(value, path, (text) => readAs(text, types)) || isChanged;
  }
  return isChanged ? schema.safeParse(value, options) : first;
}

function collectTypes(
  issues: readonly z.core.$ZodIssue[],
  above: Path,
  types: Map<string, Set<string>>,
): void {
  for (const issue of issues) {
    const path = [...above, ...issue.path];
    if (issue.code === "invalid_union") for (const branch of issue.errors) collectTypes(branch, path, types);
    if (issue.code !== "invalid_type") continue;
    const key = JSON.stringify(path);
    types.set(key, (types.get(key) ?? new Set()).add(issue.expected));
  }
}

function readAs(text: string, types: ReadonlySet<string>): unknown {
  if (types.has("boolean") && /^(?:true|false)$/.test(text)) return text === "true";
  const isNumber = types.has("number") || types.has("int");
  return isNumber && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Replaces the text at a path; `value` is a copy, which `interpolate` has made. */
function replaceAt(value: unknown, path: Path, read: (text: string) => unknown): boolean {
  const last = path.at(-1);
  if (last === undefined) return false;
  let parent = value as Record<PropertyKey, unknown>;
  for (const step of path.slice(0, -1)) parent = parent[step] as Record<PropertyKey, unknown>;
  const text = parent[last];
  if (typeof text !== "string") return false;
  parent[last] = read(text);
  return parent[last] !== text;
}
