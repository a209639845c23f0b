import { groupsOf, median } from "./groups.ts";
import type { ProbeEvent, Reading } from "./reading.ts";
import { sendTimes } from "./stamps.ts";
import { LATE_MS, type Symptom, tailSymptom } from "./symptom.ts";

/** An event at the outer hop and its counterpart at the inner one. */
interface Matched {
  readonly outer: ProbeEvent;
  /** The same event at the inner hop, or its nth one. */
  readonly inner: ProbeEvent | undefined;
  readonly lagMs: number;
}

/** The events of an outer hop beside those of an inner one. */
export interface Comparison {
  /**
   * `bytes`: both hops have the same events. Otherwise each hop has a separate response of the backend: `times`
   * compares the times in the events, which come from one clock; `number` compares the nth event with the nth,
   * counted from each request.
   */
  readonly by: "bytes" | "times" | "number";
  readonly matched: readonly Matched[];
  /** Ages, in ms, of events of the inner hop that have not reached the outer one. */
  readonly waiting: readonly number[];
}

/** Compares two readings that ran at the same time. */
export function compare(inner: Reading, outer: Reading): Comparison {
  const comparison = comparisonOf(inner, outer);
  // Subtracts pauses of this process.
  const matched = comparison.matched.map((pair) => {
    const paused = outer.pauses.before(pair.outer.lastAt);
    return { ...pair, lagMs: pair.lagMs - Math.min(Math.max(0, pair.lagMs), paused) };
  });
  return { ...comparison, matched };
}

function comparisonOf(inner: Reading, outer: Reading): Comparison {
  const until = outer.end?.at ?? performance.now();
  const same = matchByBytes(inner.events, outer.events);
  const least = Math.min(inner.events.length, outer.events.length) / 2;
  if (outer.events.length === 0 || (same.length > 0 && same.length >= least)) {
    const last = same.at(-1)?.index ?? -1;
    const waiting = inner.events.slice(last + 1).map(({ lastAt }) => until - lastAt);
    return { by: "bytes", matched: same, waiting: waiting.filter((ms) => ms > 0) };
  }
  const start = (outer.sentAt ?? 0) - (inner.sentAt ?? 0);
  const waiting = inner.events
    .slice(outer.events.length)
    .map(({ lastAt }) => until - lastAt - start)
    .filter((ms) => ms > 0);
  const timed = matchByTimes(inner.events, outer.events);
  if (timed !== undefined) return { by: "times", matched: timed, waiting };
  const matched = outer.events.slice(0, inner.events.length).map((event, at) => ({
    outer: event,
    inner: inner.events[at],
    lagMs: event.lastAt - (inner.events[at]?.lastAt ?? 0) - start,
  }));
  return { by: "number", matched, waiting };
}

/** Returns the lags by the times in the events; undefined without such times. */
function matchByTimes(inner: readonly ProbeEvent[], outer: readonly ProbeEvent[]): Matched[] | undefined {
  const [before, after] = [sendTimes(inner), sendTimes(outer)];
  if (before?.resolution !== 1 || after?.resolution !== 1) return undefined;
  const takes = (events: readonly ProbeEvent[], times: readonly (number | undefined)[]) =>
    events.map(({ lastAt }, at) => lastAt - (times[at] ?? Number.NaN));
  const usual = median(takes(inner, before.times).filter((ms) => !Number.isNaN(ms)));
  if (usual === undefined) return undefined;
  const lags = takes(outer, after.times).map((ms) => ms - usual);
  return outer
    .map((event, at) => ({ outer: event, inner: inner[at], lagMs: lags[at] ?? Number.NaN }))
    .filter(({ lagMs }) => !Number.isNaN(lagMs));
}

/** Pairs equal events in order; of duplicates the earliest unused one. */
function matchByBytes(
  inner: readonly ProbeEvent[],
  outer: readonly ProbeEvent[],
): (Matched & { readonly index: number })[] {
  const places = new Map<string, number[]>();
  // Backwards, so that `pop` takes the earliest place of each list first.
  for (let index = inner.length - 1; index >= 0; index -= 1) {
    const { key = "" } = inner[index] ?? {};
    const known = places.get(key);
    if (known === undefined) places.set(key, [index]);
    else known.push(index);
  }
  let next = 0;
  return outer.flatMap((event) => {
    const free = places.get(event.key) ?? [];
    while ((free.at(-1) ?? next) < next) free.pop();
    const index = free.pop();
    const twin = index === undefined ? undefined : inner[index];
    if (index === undefined || twin === undefined) return [];
    next = index + 1;
    return [{ outer: event, inner: twin, lagMs: event.lastAt - twin.lastAt, index }];
  });
}

/** Returns the median and worst lag; a waiting event counts with its age. */
export function lagOf({ matched, waiting }: Comparison): { medianMs: number; worstMs: number } | undefined {
  const lags = [...matched.map(({ lagMs }) => Math.max(0, lagMs)), ...waiting.filter((ms) => ms > LATE_MS)];
  const medianMs = median(lags);
  return medianMs === undefined ? undefined : { medianMs, worstMs: lags.reduce((a, b) => Math.max(a, b), 0) };
}

/** The least delay of a head that counts as held back, in ms. */
const LATE_HEAD_MS = 500;

/** Returns the delay that the outer hop adds; undefined if it adds none. */
export function pairSymptom(inner: Reading, outer: Reading): Symptom | undefined {
  const comparison = compare(inner, outer);
  const waiting = comparison.waiting.filter((ms) => ms > LATE_MS);
  const lag = lagOf(comparison);
  const isLate = lag !== undefined && lag.medianMs > LATE_MS;
  if (isLate && outer.events.length === 0) return nothing(waiting);
  const tail = tailSymptom(outer.events);
  // A sender that pauses within events shows the same at the inner hop.
  if (tail !== undefined && tailSymptom(inner.events) === undefined) return tail;
  const late = isLate ? lateSymptom(comparison, outer, lag.medianMs) : undefined;
  return late ?? headSymptom(inner, outer);
}

/** Fewer late events may result from one pause of the network or of a machine. */
const FEWEST_LATE = 5;

function lateSymptom(comparison: Comparison, outer: Reading, medianMs: number): Symptom | undefined {
  const { matched, by } = comparison;
  const waiting = comparison.waiting.filter((ms) => ms > LATE_MS);
  const late = matched.filter(({ lagMs }) => lagMs > LATE_MS);
  const together = heldTogether(matched, outer);
  const inGroups = late.filter(({ outer: event }) => together.has(event)).length;
  const events = late.length + waiting.length;
  const found = (kind: Symptom["kind"]): Symptom => ({ kind, isSure: true, lagMs: medianMs, events });
  if (late.length > 0 && inGroups >= late.length / 2) {
    const isOneGroup = groupsOf(outer.events, outer.sentAt ?? 0).length === 1;
    return found(isOneGroup ? "all-at-once" : "in-groups");
  }
  // A backend may answer two requests at different speeds, so only groups prove that a hop held events back.
  if (events < FEWEST_LATE || (by === "number" && waiting.length < 3)) return undefined;
  // Two backends with different clocks could give the same picture.
  return { ...found("late"), isSure: by !== "times" };
}

/** The least spread of a group at the inner hop that proves that the outer hop held it back, in ms. */
const APART_MS = 50;

/** Events that arrived together at the outer hop and separately at the inner one; excludes bursts of the sender. */
function heldTogether(matched: readonly Matched[], outer: Reading): ReadonlySet<ProbeEvent> {
  const before = new Map(matched.map(({ outer: event, inner }) => [event, inner?.lastAt]));
  const groups = groupsOf(outer.events, outer.sentAt ?? 0).filter(({ events }) => {
    const times = events.flatMap((event) => before.get(event) ?? []);
    return times.length > 1 && Math.max(...times) - Math.min(...times) > APART_MS;
  });
  return new Set(groups.flatMap(({ events }) => events));
}

/** Returns the median lag, in ms, if only event numbers support it; undefined otherwise. */
export function laterBy(inner: Reading, outer: Reading): number | undefined {
  const comparison = compare(inner, outer);
  const medianMs = lagOf(comparison)?.medianMs ?? 0;
  return comparison.by === "number" && medianMs > LATE_MS ? medianMs : undefined;
}

/** Requires two waiting events, because one may still be in transit. */
function nothing(waiting: readonly number[]): Symptom | undefined {
  if (waiting.length < 2) return undefined;
  return { kind: "nothing", isSure: true, lagMs: Math.max(...waiting), events: waiting.length };
}

/**
 * Finds a head that the outer hop sent with the first bytes, and the inner hop before them. Excludes a backend that
 * itself sends the head with the first bytes.
 */
function headSymptom(inner: Reading, outer: Reading): Symptom | undefined {
  const wait = ({ headAt = Number.NaN, sentAt = 0 }: Reading) => headAt - sentAt;
  const untilBytes = ({ headAt = Number.NaN, firstByteAt = Number.NaN }: Reading) => firstByteAt - headAt;
  const paused = outer.pauses.within(outer.sentAt ?? 0, outer.headAt ?? 0);
  const lagMs = wait(outer) - wait(inner) - paused;
  // The head waited as long as the inner hop's first bytes took.
  const isHeld = untilBytes(outer) < LATE_MS && !(untilBytes(inner) < lagMs / 2);
  if (!(lagMs > LATE_HEAD_MS) || !isHeld) return undefined;
  return { kind: "head", isSure: true, lagMs, events: 0 };
}
