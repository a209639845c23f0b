import type { ProbeEvent } from "./reading.ts";

/** Events that end within this time of each other, in ms, form a group: one write may take several reads. */
const TOGETHER_MS = 30;

/** Events that arrived together. */
export interface Group {
  readonly events: readonly ProbeEvent[];
  readonly at: number;
  /** Silence before the group, in ms; since the request for the first group. */
  readonly silenceMs: number;
}

/** Splits the events of a reading into groups that arrived together. */
export function groupsOf(events: readonly ProbeEvent[], sentAt: number): Group[] {
  const groups: { events: ProbeEvent[]; at: number; silenceMs: number }[] = [];
  let lastAt = sentAt;
  for (const event of events) {
    const silenceMs = event.lastAt - lastAt;
    const current = groups.at(-1);
    if (current === undefined || silenceMs > TOGETHER_MS)
      groups.push({ events: [event], at: event.lastAt, silenceMs });
    else current.events.push(event);
    lastAt = event.lastAt;
  }
  return groups;
}

/** Returns the median; undefined for an empty list. */
export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
