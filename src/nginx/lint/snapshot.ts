import type { Configuration } from "../configuration.ts";
import { effective, effectiveAll, effectiveFields } from "../effective.ts";
import type { Level } from "../level.ts";
import type { NginxVersion } from "../version.ts";

/** The levels whose effective values are compared. */
const COUNTED: ReadonlySet<Level["kind"]> = new Set([
  "main",
  "events",
  "http",
  "server",
  "location",
  "if",
  "limit_except",
  "upstream",
  "stream server",
]);

/** The effective values at every level, to compare them before and after a fix. */
export type Snapshot = readonly ReadonlyMap<string, string>[];

/** Collects the effective value of every directive in the configuration, at every level. */
export function takeSnapshot({ main }: Configuration, version: NginxVersion): Snapshot {
  return [...main.inward()]
    .filter(({ kind }) => COUNTED.has(kind))
    .map((level) => {
      const values = new Map<string, string>();
      for (const each of level.outward()) {
        for (const { name } of each.directives) {
          if (!values.has(name)) values.set(name, valueAt(level, name, version));
        }
      }
      return values;
    });
}

function valueAt(level: Level, name: string, version: NginxVersion): string {
  const all =
    name === "add_header" || name === "add_trailer"
      ? effectiveFields(level, name, version)
      : effectiveAll(level, name);
  if (all.directives.length === 0) return effective(level, name, version).value;
  // The contents of a block are compared at their own level.
  return all.directives.map(({ value }) => value).join("\n");
}

/** Returns the names of the directives whose values differ; undefined if the blocks differ. */
export function changedNames(before: Snapshot, after: Snapshot): ReadonlySet<string> | undefined {
  if (before.length !== after.length) return undefined;
  const changed = new Set<string>();
  before.forEach((values, at) => {
    const others = after[at] ?? new Map<string, string>();
    for (const name of new Set([...values.keys(), ...others.keys()])) {
      if (values.get(name) !== others.get(name)) changed.add(name);
    }
  });
  return changed;
}
