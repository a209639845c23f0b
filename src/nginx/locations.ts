import { createContext, runInContext } from "node:vm";
import type { Level } from "./level.ts";
import { FAMILIES } from "./target.ts";

/** The location for a path, and whether nginx redirects the client to the path with a slash added. */
export interface Choice {
  readonly location: Level;
  readonly isRedirect: boolean;
}

/**
 * Chooses a location for a path as `ngx_http_core_find_location` does: first an exact location; else the first
 * matching regular expression of the block, unless the longest prefix is `^~`; else the longest prefix. Nested
 * locations of the chosen location are searched the same way.
 *
 * `level` is a server or location; `path` is decoded and normalized. Returns undefined if no location matches.
 */
export function chooseLocation(level: Level, path: string): Choice | undefined {
  return search(level, path).choice;
}

interface Found {
  readonly choice: Choice | undefined;
  /** Whether the search ends here, without the regular expressions of the outer block. */
  readonly isFinal: boolean;
}

function search(level: Level, path: string): Found {
  const index = indexOf(level);
  const prefix = longestPrefix(index, path);
  if (prefix !== undefined && (prefix.isRedirect || isExact(prefix.location))) {
    return { choice: prefix, isFinal: true };
  }
  const inner = prefix === undefined ? undefined : search(prefix.location, path);
  const choice = inner?.choice ?? prefix;
  if (inner?.isFinal) return inner;
  if (prefix === undefined || modifierOf(prefix.location) !== "^~") {
    const matching = index.expressions.find((location) => regexMatches(location, path));
    if (matching !== undefined) {
      const nested = search(matching, path).choice;
      return { choice: nested ?? { location: matching, isRedirect: false }, isFinal: true };
    }
  }
  return { choice, isFinal: false };
}

/** The locations of a block, indexed by kind. */
interface LocationIndex {
  readonly exact: ReadonlyMap<string, Level>;
  readonly prefixes: ReadonlyMap<string, Level>;
  readonly longest: number;
  readonly expressions: readonly Level[];
}

/** Cached: each block is searched once per stream and may have thousands of locations. */
const indexes = new WeakMap<Level, LocationIndex>();

function indexOf(level: Level): LocationIndex {
  const known = indexes.get(level);
  if (known !== undefined) return known;
  const exact = new Map<string, Level>();
  const prefixes = new Map<string, Level>();
  const expressions: Level[] = [];
  for (const location of level.levels) {
    if (location.kind !== "location") continue;
    const modifier = modifierOf(location);
    const path = pathOf(location);
    const map = modifier === "=" ? exact : modifier === "" || modifier === "^~" ? prefixes : undefined;
    if (map !== undefined && !map.has(path)) map.set(path, location);
    if (modifier.startsWith("~")) expressions.push(location);
  }
  let longest = 0;
  for (const { length } of prefixes.keys()) longest = Math.max(longest, Math.min(length, MAX_PATH));
  const index = { exact, prefixes, longest, expressions };
  indexes.set(level, index);
  return index;
}

/** The longest path that nginx accepts: its default large_client_header_buffers (4 × 8k). */
const MAX_PATH = 32_768;

/** Whether a block has a prefix location for exactly this path. */
export const hasPrefix = (level: Level, path: string): boolean => indexOf(level).prefixes.has(path);

/** Returns the regular-expression locations of a block in order. */
export const expressionsIn = (level: Level): readonly Level[] => indexOf(level).expressions;

/** Returns the exact location, else the longest prefix; a path that lacks only the final slash is a redirect. */
function longestPrefix({ exact, prefixes, longest }: LocationIndex, path: string): Choice | undefined {
  const same = exact.get(path) ?? prefixes.get(path);
  if (same !== undefined) return { location: same, isRedirect: false };
  const withSlash = prefixes.get(`${path}/`);
  if (withSlash !== undefined && isProxied(withSlash)) return { location: withSlash, isRedirect: true };
  for (let length = Math.min(path.length, longest); length >= 0; length -= 1) {
    const location = prefixes.get(path.slice(0, length));
    if (location !== undefined) return { location, isRedirect: false };
  }
  return undefined;
}

/** Whether a location proxies: then nginx answers its path without the final slash with a 301. */
const isProxied = (location: Level): boolean =>
  FAMILIES.some((family) => location.own(`${family}_pass`).length > 0);

/** Returns `=`, `^~`, `~` or `~*`; `@` for a named location; empty for a prefix. */
export function modifierOf({ directive }: Level): "" | "=" | "^~" | "~" | "~*" | "@" {
  const [first = "", second] = directive?.args ?? [];
  if (second !== undefined) return isModifier(first) ? first : "";
  // nginx also accepts `location =/x` and `location ~\.php$` without a blank.
  return (/^(?:=|\^~|~\*|~|@)/.exec(first)?.[0] as "=" | undefined) ?? "";
}

const isModifier = (word: string): word is "=" | "^~" | "~" | "~*" => ["=", "^~", "~", "~*"].includes(word);

/** Returns the location's path or regular expression without its modifier. */
export function pathOf(location: Level): string {
  const [first = "", second] = location.directive?.args ?? [];
  return second ?? first.slice(modifierOf(location).length);
}

const isExact = (location: Level): boolean => modifierOf(location) === "=";

/** Whether a location has a regular expression. */
export const isRegex = (location: Level): boolean => modifierOf(location).startsWith("~");

/** The time limit for one match of an expression that may take exponential time in JavaScript. */
const MATCH_TIMEOUT_MS = 100;
/** After so many timeouts, all further expressions of that kind count as not matching. */
const MOST_GIVEN_UP = 5;
/** A repeated group: only this can take exponential time. */
const REPEATED_GROUP = /\)(?:[*+]|\{\d)/;

const sandbox = createContext({});
let givenUp = 0;

/** Whether a regular-expression location matches a path; false for PCRE syntax that JavaScript lacks. */
export function regexMatches(location: Level, path: string): boolean {
  const source = pathOf(location);
  const expression = expressionOf(location);
  if (expression === undefined) return false;
  if (!REPEATED_GROUP.test(source)) return expression.test(path);
  if (givenUp >= MOST_GIVEN_UP) return false;
  Object.assign(sandbox, { expression, path });
  try {
    return runInContext("expression.test(path)", sandbox, { timeout: MATCH_TIMEOUT_MS });
  } catch {
    givenUp += 1;
    return false;
  }
}

const expressions = new WeakMap<Level, { readonly expression: RegExp | undefined }>();

function expressionOf(location: Level): RegExp | undefined {
  const known = expressions.get(location) ?? {
    expression: compile(pathOf(location), modifierOf(location) === "~*"),
  };
  expressions.set(location, known);
  return known.expression;
}

function compile(source: string, ignoresCase: boolean): RegExp | undefined {
  const inline = /^\(\?i\)/.test(source);
  try {
    const text = source.replace(/^\(\?i\)/, "").replaceAll("(?P<", "(?<");
    return new RegExp(text, ignoresCase || inline ? "i" : "");
  } catch {
    return undefined;
  }
}

/** Normalizes a request's path as nginx does: no query, decoded, `.` and `..` resolved, slashes merged. */
export function normalizePath(target: string): string {
  const path = target.replace(/[?#].*$/s, "");
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    decoded = path;
  }
  const parts: string[] = [];
  for (const part of decoded.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  const hasEnd = /\/\.{0,2}$/.test(decoded) && parts.length > 0;
  return `/${parts.join("/")}${hasEnd ? "/" : ""}`;
}
