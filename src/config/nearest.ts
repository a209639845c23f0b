import { editDistance } from "../base/edit-distance.ts";

/** Returns the known name that is nearest to a misspelt one; undefined if no name is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // One third of the letters may be wrong, but at least two letters, because two exchanged letters count as two. In a
  // name of one or two letters, one may be wrong.
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
