import type { RouteInput } from "../../config/route-schema.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { isRegex, modifierOf, pathOf } from "../locations.ts";
import { encoded } from "./matches.ts";
import { type Note, type Notes, spell } from "./notes.ts";

/** A route that has no name yet. */
export interface Draft {
  readonly route: RouteInput;
  readonly from: Directive;
  readonly notes: Note[];
}

/** A location that was not imported. */
export interface LeftOut {
  readonly location: Level;
  readonly at: Directive;
  readonly message: string;
}

/**
 * Notes for every location that is not imported which route now gets its requests: requests that nginx answered or
 * refused would then reach a backend.
 */
export function noteCoverage(leftOut: readonly LeftOut[], drafts: readonly Draft[], left: Notes): void {
  for (const { location, at, message } of leftOut) {
    const covering = coveringDrafts(location, drafts);
    const [first] = covering;
    const now = first === undefined ? "" : `; the route ${first.route.match.path} now gets its requests`;
    left.add(at, `not imported: ${message}${now}`);
    const { directive } = location;
    if (directive === undefined) continue;
    const text = `${spell(directive)} is not imported, so this route gets its requests`;
    for (const draft of covering) draft.notes.push({ at: draft.from, text, isInFileAlone: true });
  }
}

/** Returns the routes with the longest path that covers a location; one per host. */
function coveringDrafts(location: Level, drafts: readonly Draft[]): readonly Draft[] {
  const path = startOf(location);
  if (path === undefined) return [];
  const around = drafts.filter(({ route }) => covers(route.match.path, path));
  const longest = Math.max(0, ...around.map(({ route }) => route.match.path.length));
  return around.filter(({ route }) => route.match.path.length === longest);
}

/** Whether a prefix route covers a path. */
export function covers(prefix: string, path: string): boolean {
  if (!prefix.endsWith("/*")) return false;
  const bare = prefix.slice(0, -2);
  return path === bare || path.startsWith(`${bare}/`);
}

/** Returns the fixed start of a location's paths; undefined for a named location. */
function startOf(location: Level): string | undefined {
  if (modifierOf(location) === "@") return undefined;
  if (!isRegex(location)) return encoded(pathOf(location));
  const literal = /^\^((?:\/[\w-]+)*\/)/.exec(pathOf(location))?.[1];
  return literal ?? "/";
}
