import type { ProbeEvent } from "./reading.ts";

/** Events that end within this time of each other came together, in ms: one write of a hop may take a few reads. */
const TOGETHER_MS = 30;

/** Events that came together. */
export interface Group {
  readonly events: readonly ProbeEvent[];
  readonly at: number;
  /** How long nothing had come before it, in ms; from the request on for the first group. */
  readonly silenceMs: number;
}

/** Cuts the events of a reading into groups that came together. */
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

/** The middle value; undefined of none. */
export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
