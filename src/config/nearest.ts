import { editDistance } from "../base/edit-distance.ts";

/** The known name that a misspelt one most likely meant; undefined when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // Two letters exchanged are two steps; of long names a third may be wrong, of the shortest one letter.
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

/** `; did you mean heartbeat?`, or nothing when no known name is near. */
export function suggestion(name: string, known: readonly string[]): string {
  const found = nearest(name, known);
  return found === undefined ? "" : `; did you mean ${found}?`;
}
