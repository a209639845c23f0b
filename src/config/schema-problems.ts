import type * as z from "zod";
import { OWN_KEYS } from "./defaults-schema.ts";
import { type JsonSchema, keyPaths, keysAt } from "./json-schema.ts";
import { nearest, suggestion } from "./nearest.ts";
import { foreignKey } from "./nginx-keys.ts";
import { remedyFor } from "./remedy.ts";

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/** A problem at a path of a file, in words for the author of the file. */
export interface SchemaProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** The value that was probably meant. It repeats a part of the value, so it must not be shown for a secret. */
  readonly remedy?: string | undefined;
  /** Whether the key itself is wrong, not its value. */
  readonly isKey: boolean;
  /** Whether the key is missing: the problem is then shown at the object that lacks it. */
  readonly isMissing: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
  int: "a whole number",
  number: "a whole number",
  null: "null",
};

/** Returns a message for those issues of zod for which the schema has none. */
export function phrase(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${TYPES[issue.expected as string] ?? "another type"}`;
    case "invalid_value":
      return expectedOneOf((issue.values as readonly unknown[]).map(String), issue.input);
    case "too_small":
    case "too_big": {
      const [bound, limit] =
        issue.code === "too_small" ? ["at least", issue.minimum] : ["at most", issue.maximum];
      return `expected ${bound} ${String(limit)}${issue.origin === "array" ? " of them" : ""}`;
    }
    case "invalid_union":
    case "invalid_format":
      return "expected another form";
    default:
      return undefined;
  }
}

function expectedOneOf(values: readonly string[], input: unknown): string {
  const last = values.at(-1) ?? "";
  const listed = values.length < 2 ? last : `${values.slice(0, -1).join(", ")} or ${last}`;
  return `expected ${listed}${typeof input === "string" ? suggestion(input, values) : ""}`;
}

/** Returns the problems of one file from zod's issues; `schema` names the known keys. */
export function problemsIn(issues: readonly Issue[], schema: JsonSchema): SchemaProblem[] {
  const problems = issues.flatMap((issue) => explain(issue, [], schema));
  // With `allowOrigin` unknown and `allowOrigins` missing, one typing error would be reported as two problems.
  const meant = new Set(
    problems.flatMap(({ path, message }) => {
      const name = /did you mean (\w+)\?$/.exec(message)?.[1];
      return name === undefined ? [] : [JSON.stringify([...path.slice(0, -1), name])];
    }),
  );
  return problems.filter(({ path, isMissing }) => !(isMissing && meant.has(JSON.stringify(path))));
}

function explain(issue: Issue, above: SchemaProblem["path"], schema: JsonSchema): SchemaProblem[] {
  const path = [...above, ...issue.path];
  const plain = { path, isKey: false, isMissing: false };
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...path, key], key, path, schema));
  }
  if (issue.code === "invalid_key") {
    return [{ ...plain, isKey: true, message: issue.issues[0]?.message ?? "expected another key" }];
  }
  const isMissing =
    issue.input === undefined && (issue.code === "invalid_type" || issue.code.startsWith("invalid_"));
  if (isMissing) return [{ ...plain, isMissing, message: `missing; ${withKeys(issue, path, schema)}` }];
  if (issue.code === "invalid_union") {
    const branch = fittingBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => explain(inner, path, schema));
  }
  const message = withKeys(issue, path, schema);
  const remedy = message.includes("did you mean") ? undefined : remedyFor(message, issue.input);
  return [{ ...plain, message, remedy }];
}

/** Returns the text of a problem with its remedy. */
export function withRemedy({ message, remedy }: SchemaProblem): string {
  return remedy === undefined ? message : `${message}; ${remedy}`;
}

/** The messages of `orOff`. */
const OBJECT_OR_OFF = /an object, or off$/;

/** Adds the known keys where an object was expected, for example for `stream:` with nothing below it. */
function withKeys(issue: Issue, path: SchemaProblem["path"], schema: JsonSchema): string {
  const isObject = issue.code === "invalid_type" && issue.expected === "object";
  if (!isObject && !OBJECT_OR_OFF.test(issue.message)) return issue.message;
  const keys = keysAt(schema, path);
  return keys.length === 0
    ? issue.message
    : issue.message.replace("an object", `an object with ${keys.join(", ")}`);
}

function unknownKey(
  path: SchemaProblem["path"],
  key: string,
  parent: SchemaProblem["path"],
  schema: JsonSchema,
): SchemaProblem {
  const known = keysAt(schema, parent);
  const everywhere = keyPaths(schema);
  const meant =
    variantOf(key, known) ??
    everywhere.find((spelled) => lastName(spelled) === key) ??
    nearest(key, known) ??
    misspelt(key, everywhere);
  const hint =
    (parent[0] === "defaults" && parent.length === 1 ? ownKey(key) : undefined) ??
    foreignKey(key) ??
    (key === "routes" ? "each route is a file of its own in routes/" : undefined) ??
    (meant === undefined ? `expected one of ${known.join(", ")}` : `did you mean ${meant}?`);
  return { path, isKey: true, isMissing: false, message: `unknown key; ${hint}` };
}

/** Returns the known key of which a key is the singular, the plural or the end: `method`, and `origins` for allowOrigins. */
function variantOf(key: string, known: readonly string[]): string | undefined {
  const plural = known.find((name) => name === `${key}s` || key === `${name}s`);
  if (plural !== undefined || key.length < 5) return plural;
  const longer = known.filter((name) => name.toLowerCase().endsWith(key.toLowerCase()));
  return longer.length === 1 ? longer[0] : undefined;
}

/** Returns the remedy for a key that has no default for all routes. */
function ownKey(key: string): string | undefined {
  const isOwn = (OWN_KEYS as readonly string[]).includes(key);
  return isOwn ? `${key} has no default: each route has its own` : undefined;
}

const lastName = (path: string): string => path.slice(path.lastIndexOf(".") + 1);

/** Returns the nearest key elsewhere in the file. Not for short names, to which too many keys are near. */
function misspelt(key: string, paths: readonly string[]): string | undefined {
  const name = key.length > 4 ? nearest(key, paths.map(lastName)) : undefined;
  return name && paths.find((path) => lastName(path) === name);
}

/**
 * Returns the branch of a union that the author most likely meant: one whose type fits the value. Undefined if no branch
 * fits: the union's own message then names every choice.
 */
function fittingBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return branches.filter((issues) => !issues.some(isAtRoot)).toSorted((a, b) => a.length - b.length)[0];
}

/** Whether the value as a whole has the wrong type; a `custom` issue is a rule beyond the type, with a better message. */
function isAtRoot(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code !== "unrecognized_keys" && issue.code !== "custom";
}
