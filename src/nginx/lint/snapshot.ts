import type { Configuration } from "../configuration.ts";
import { effective, effectiveAll, effectiveFields } from "../effective.ts";
import type { Level } from "../level.ts";
import type { NginxVersion } from "../version.ts";

/** The levels in which a value counts. */
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

/** What holds at every level of a configuration, to compare it with what holds after a fix. */
export type Snapshot = readonly ReadonlyMap<string, string>[];

/** Takes the effective value of every directive that the configuration has, at every level. */
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
  // The block of a location or a map counts for itself.
  return all.directives.map(({ value }) => value).join("\n");
}

/** The names of the directives whose values differ; undefined when the blocks themselves do. */
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
