import { type Group, groupsOf, median } from "./groups.ts";
import type { ProbeEvent, Reading } from "./reading.ts";
import { sendTimes } from "./stamps.ts";

/**
 * The kind of a delay: `nothing` arrived; `all-at-once` and `in-groups`: events arrived together that were sent
 * separately; `tail`: the end of each event came with the next event; `head`: the response head came with the first
 * event; `replayed`: the events are older than the request; `late`: each event has about the same delay.
 */
export type SymptomKind = "nothing" | "all-at-once" | "in-groups" | "tail" | "head" | "replayed" | "late";

/** A kind of delay that a reading shows. */
export interface Symptom {
  readonly kind: SymptomKind;
  /** False when the sender itself may cause it. */
  readonly isSure: boolean;
  /** The delay of a typical late event, in ms. */
  readonly lagMs: number;
  /** How many events were late. */
  readonly events: number;
}

/** The least lag of a late event, in ms: visible to a person, and longer than a network within a continent takes. */
export const LATE_MS = 100;

/** Without times in the events: the least size and number of groups, and the silence before them in ms. */
const FEWEST_TOGETHER = 3;
/** With times in the events: the least number of events held back. */
const FEWEST_HELD = 2;
const FEWEST_GROUPS = 2;
const SILENCE_MS = 300;
/** The silence before a stream that arrived as one group, in ms. */
const SILENCE_BEFORE_ALL_MS = 500;

/** The least delay of a late head, in ms. */
const LATE_HEAD_MS = 1_000;
/** The least delay that times of whole seconds can show, in ms. */
const LATE_SECONDS_MS = 1_100;

/**
 * Returns the delay that a single reading shows; undefined without a delay.
 *
 * A hop that holds events back sends several together, so this looks for groups. Times in the events tell whether
 * they were sent separately, without comparing two clocks. Without such times only a repeated pattern counts.
 */
export function symptomOf(reading: Reading): Symptom | undefined {
  const { events, sentAt } = reading;
  if (sentAt === undefined || reading.headAt === undefined) return undefined;
  // A pause of this process does not count as silence.
  const groups = groupsOf(events, sentAt).map((group) => ({
    ...group,
    silenceMs: group.silenceMs - reading.pauses.before(group.at),
  }));
  return tailSymptom(events) ?? groupSymptom(reading, groups) ?? headSymptom(reading);
}

/** Fewer late ends may result from a sender that pauses within an event. */
const FEWEST_TAILS = 2;
/** An event's end and the next event's start within this time, in ms, arrived together. */
const ONE_PIECE_MS = 10;

/** Finds events whose end arrived with the start of the next: a full buffer (nginx's 4 kB) split them. */
export function tailSymptom(events: readonly ProbeEvent[]): Symptom | undefined {
  const held = events.filter(({ firstAt, lastAt }, at) => {
    const next = events[at + 1];
    return lastAt - firstAt > LATE_MS && (next === undefined || next.firstAt - lastAt < ONE_PIECE_MS);
  });
  if (held.length < FEWEST_TAILS || held.length < events.length / 2) return undefined;
  const lagMs = median(held.map(({ firstAt, lastAt }) => lastAt - firstAt)) ?? 0;
  return { kind: "tail", isSure: true, lagMs, events: held.length };
}

function groupSymptom(reading: Reading, groups: readonly Group[]): Symptom | undefined {
  const stamps = sendTimes(reading.events);
  if (stamps === undefined) return patternSymptom(reading, groups);
  const times = new Map(reading.events.map((event, at) => [event, stamps.times[at]]));
  const bound = stamps.resolution === 1 ? LATE_MS : LATE_SECONDS_MS;
  const fresh = groups.map((group) => heldIn(group, times, Number.POSITIVE_INFINITY));
  const first = groups[0];
  const sinceRequest = first === undefined ? 0 : first.at - (reading.sentAt ?? 0);
  // Events from before the request come from a history or a cache; no hop held them back.
  const old = first === undefined ? [] : heldIn(first, times, sinceRequest + bound).old;
  const held = fresh.flatMap(({ held: lags }, at) => {
    const paused = reading.pauses.before(groups[at]?.at ?? 0);
    return lags.filter((lag) => lag - paused > bound);
  });
  const replayed = old.length;
  if (replayed >= FEWEST_TOGETHER && replayed >= reading.events.length - 1 && isWhole(reading)) {
    return { kind: "replayed", isSure: true, lagMs: Math.max(...old), events: replayed };
  }
  const late = held.length - replayed;
  // Fewer may result from a pause of the network or of a machine.
  if (late < FEWEST_HELD || late < (reading.events.length - replayed) / 3) {
    // Times in whole seconds do not show shorter delays.
    return stamps.resolution === 1 ? undefined : patternSymptom(reading, groups);
  }
  const kind = groups.length === 1 ? "all-at-once" : "in-groups";
  return { kind, isSure: true, lagMs: median(held) ?? 0, events: late };
}

/** Returns how long before the last event of its group each event was sent, in ms; `old`: those above `oldest`. */
function heldIn(
  { events }: Group,
  times: ReadonlyMap<ProbeEvent, number | undefined>,
  oldest: number,
): { readonly held: number[]; readonly old: number[] } {
  const known = events.flatMap((event) => times.get(event) ?? []);
  const last = Math.max(...known);
  const held = known.map((time) => last - time);
  return { held, old: held.filter((lag) => lag > oldest) };
}

/** Finds, without times, repeated groups after a silence, or a whole stream as one group. */
function patternSymptom(reading: Reading, groups: readonly Group[]): Symptom | undefined {
  const { events } = reading;
  const [first] = groups;
  if (first !== undefined && groups.length === 1 && isWhole(reading)) {
    const isHeld = events.length >= FEWEST_TOGETHER && first.silenceMs > SILENCE_BEFORE_ALL_MS;
    if (!isHeld) return undefined;
    return { kind: "all-at-once", isSure: false, lagMs: first.silenceMs, events: events.length };
  }
  const lumps = groups.filter(
    ({ events: together, silenceMs }) => together.length >= FEWEST_TOGETHER && silenceMs > SILENCE_MS,
  );
  const inLumps = lumps.reduce((sum, { events: together }) => sum + together.length, 0);
  if (lumps.length < FEWEST_GROUPS || inLumps < 0.6 * events.length) return undefined;
  const lagMs = median(lumps.map(({ silenceMs }) => silenceMs)) ?? 0;
  return { kind: "in-groups", isSure: false, lagMs, events: inLumps };
}

const isWhole = ({ end }: Reading): boolean => end?.kind === "complete" || end?.kind === "closed";

/** Finds a late head; several heartbeats that arrive with it prove that a hop held it back; one event does not. */
function headSymptom({ sentAt = 0, headAt, firstByteAt, comments, events }: Reading): Symptom | undefined {
  if (headAt === undefined || firstByteAt === undefined || headAt - sentAt < LATE_HEAD_MS) return undefined;
  const isTogether = firstByteAt - headAt < LATE_MS;
  const heartbeats = comments.filter((at) => at - headAt < LATE_MS).length;
  // Two, because sluice sends one comment with the head.
  if (!isTogether || (heartbeats < 2 && events.length === 0)) return undefined;
  return { kind: "head", isSure: heartbeats > 2, lagMs: headAt - sentAt, events: 0 };
}
