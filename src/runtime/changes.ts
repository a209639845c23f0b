import type { Snapshot } from "./snapshot.ts";

/** What a reload did to the routes, by their names; those that are in no list were not touched. */
export interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** What differs between two compiled configurations. */
export function changesBetween(before: Snapshot, after: Snapshot): Changes {
  const names = [...after.routes.keys()];
  return {
    added: names.filter((name) => !before.routes.has(name)),
    changed: names.filter(
      (name) => before.routes.has(name) && before.routes.get(name) !== after.routes.get(name),
    ),
    removed: [...before.routes.keys()].filter((name) => !after.routes.has(name)),
  };
}
