import { editDistance } from "../base/edit-distance.ts";

/** Returns the known name that is nearest to a misspelt one; undefined if no name is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // A third of the letters may be wrong, and always two, because two exchanged letters count as two; in names of one or
  // two letters only one.
  let least = (name.length < 3 ? 1 : Math.max(2, Math.floor(name.length / 3))) + 1;
  let found: string | undefined;
  for (const candidate of known) {
    const steps = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (steps < least) {
      least = steps;
      found = candidate;
    }
  }
  return found;
}

/** Returns `; did you mean heartbeat?`, or an empty text if no known name is near. */
export function suggestion(name: string, known: readonly string[]): string {
  const found = nearest(name, known);
  return found === undefined ? "" : `; did you mean ${found}?`;
}
