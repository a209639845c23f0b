import { runInNewContext } from "node:vm";
import type { Level } from "./level.ts";
import { FAMILIES } from "./target.ts";

/** The location that answers a path, and whether nginx redirects to it with a slash added. */
export interface Choice {
  readonly location: Level;
  readonly isRedirect: boolean;
}

/**
 * Chooses a location for a path as `ngx_http_core_find_location` does: an exact one; else the longest prefix,
 * with the locations inside it; unless that is `^~`, the first regular expression of the same block.
 *
 * `level` is a server or location; `path` is decoded and normalized. Undefined when no location matches.
 */
export function chooseLocation(level: Level, path: string): Choice | undefined {
  return search(level, path).choice;
}

interface Found {
  readonly choice: Choice | undefined;
  /** Whether regular expressions of the block around are not asked any more. */
  readonly isFinal: boolean;
}

function search(level: Level, path: string): Found {
  const locations = level.levels.filter((inner) => inner.kind === "location");
  const prefix = longestPrefix(locations, path);
  if (prefix !== undefined && (prefix.isRedirect || isExact(prefix.location))) {
    return { choice: prefix, isFinal: true };
  }
  const inner = prefix === undefined ? undefined : search(prefix.location, path);
  const choice = inner?.choice ?? prefix;
  if (inner?.isFinal) return inner;
  if (prefix === undefined || modifierOf(prefix.location) !== "^~") {
    const matching = locations.find((location) => isRegex(location) && regexMatches(location, path));
    if (matching !== undefined) {
      const nested = search(matching, path).choice;
      return { choice: nested ?? { location: matching, isRedirect: false }, isFinal: true };
    }
  }
  return { choice, isFinal: false };
}

/** The exact location, or the longest prefix; a path that lacks only its slash is redirected by a proxied prefix. */
function longestPrefix(locations: readonly Level[], path: string): Choice | undefined {
  let longest: Level | undefined;
  for (const location of locations) {
    const modifier = modifierOf(location);
    if (modifier === "=" && pathOf(location) === path) return { location, isRedirect: false };
    if ((modifier !== "" && modifier !== "^~") || !path.startsWith(pathOf(location))) continue;
    if (longest === undefined || pathOf(location).length > pathOf(longest).length) longest = location;
  }
  const redirecting = locations.find((location) => redirectsTo(location, path));
  if (redirecting !== undefined && (longest === undefined || pathOf(longest) !== path)) {
    return { location: redirecting, isRedirect: true };
  }
  return longest === undefined ? undefined : { location: longest, isRedirect: false };
}

/** A proxied prefix that ends in a slash answers the path without it with a 301. */
const redirectsTo = (location: Level, path: string): boolean =>
  pathOf(location) === `${path}/` &&
  ["", "^~"].includes(modifierOf(location)) &&
  FAMILIES.some((family) => location.own(`${family}_pass`).length > 0);

/** `=`, `^~`, `~`, `~*`, `@` for a named location, and empty for a prefix. */
export function modifierOf({ directive }: Level): "" | "=" | "^~" | "~" | "~*" | "@" {
  const [first = "", second] = directive?.args ?? [];
  if (second !== undefined) return isModifier(first) ? first : "";
  // nginx takes `location =/x` and `location ~\.php$` without a blank, too.
  return (/^(?:=|\^~|~\*|~|@)/.exec(first)?.[0] as "=" | undefined) ?? "";
}

const isModifier = (word: string): word is "=" | "^~" | "~" | "~*" => ["=", "^~", "~", "~*"].includes(word);

/** The location's path or regular expression, without its modifier. */
export function pathOf(location: Level): string {
  const [first = "", second] = location.directive?.args ?? [];
  return second ?? first.slice(modifierOf(location).length);
}

const isExact = (location: Level): boolean => modifierOf(location) === "=";

/** Whether a location is chosen by a regular expression. */
export const isRegex = (location: Level): boolean => modifierOf(location).startsWith("~");

/** Milliseconds for one match of an expression that may take exponential time in JavaScript. */
const MATCH_TIMEOUT_MS = 100;
/** A group that is repeated: the only way to exponential time. */
const REPEATED_GROUP = /\)(?:[*+]|\{\d)/;

/** Whether a regex location matches a path; false also for PCRE that JavaScript does not have. */
export function regexMatches(location: Level, path: string): boolean {
  const source = pathOf(location);
  const expression = compile(source, modifierOf(location) === "~*");
  if (expression === undefined) return false;
  if (!REPEATED_GROUP.test(source)) return expression.test(path);
  try {
    return runInNewContext("expression.test(path)", { expression, path }, { timeout: MATCH_TIMEOUT_MS });
  } catch {
    return false;
  }
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

/** A request's path as nginx compares it: without query, decoded, `.` and `..` resolved, slashes merged. */
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
