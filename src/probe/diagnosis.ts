import { type Cut, cutOf, pairCut } from "./ending.ts";
import { pairSymptom } from "./pair.ts";
import type { Reading } from "./reading.ts";
import { refusalOf } from "./refusal.ts";
import { type Symptom, symptomOf } from "./symptom.ts";

/** The place in the chain where a stream becomes late or ends. */
export interface Found<T> {
  readonly what: T;
  /** The hop that shows the symptom. */
  readonly hop: Reading;
  /** The next hop behind, which does not show it; undefined when the innermost hop shows it. */
  readonly behind: Reading | undefined;
}

/** Returns the hops whose events can be compared: those with a stream, or without a response so far. */
export function comparable(readings: readonly Reading[]): readonly Reading[] {
  return readings.filter(
    (reading) =>
      reading.fault === undefined && reading.sentAt !== undefined && refusalOf(reading) === undefined,
  );
}

/** Finds the innermost place where events become late. */
export function findDelay(readings: readonly Reading[]): Found<Symptom> | undefined {
  const hops = comparable(readings);
  for (const [hop, behind] of neighbours(hops)) {
    const own = symptomOf(hop);
    // A recording has events that the hop behind never had.
    const what = own?.kind === "replayed" ? own : pairSymptom(behind, hop);
    if (what !== undefined) return { what, hop, behind };
  }
  // No hop adds delay; the innermost hop may receive the stream late already.
  const [innermost] = hops;
  const what = innermost && symptomOf(innermost);
  return what && { what, hop: innermost, behind: undefined };
}

/** Finds the innermost place where the stream ends before its sender ends it. */
export function findCut(readings: readonly Reading[]): Found<Cut> | undefined {
  const hops = comparable(readings);
  for (const [hop, behind] of neighbours(hops)) {
    const what = pairCut(behind, hop);
    if (what !== undefined) return { what, hop, behind };
  }
  const [innermost] = hops;
  const what = innermost && cutOf(innermost);
  return what && { what, hop: innermost, behind: undefined };
}

function neighbours(hops: readonly Reading[]): [outer: Reading, inner: Reading][] {
  return hops.flatMap((outer, at): [Reading, Reading][] => {
    const inner = hops[at - 1];
    return inner === undefined ? [] : [[outer, inner]];
  });
}
