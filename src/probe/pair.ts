import { groupsOf, median } from "./groups.ts";
import type { ProbeEvent, Reading } from "./reading.ts";
import { sendTimes } from "./stamps.ts";
import { LATE_MS, type Symptom, tailSymptom } from "./symptom.ts";

/** An event that came through both hops. */
interface Matched {
  readonly outer: ProbeEvent;
  /** The same event at the inner hop, or its nth one. */
  readonly inner: ProbeEvent | undefined;
  readonly lagMs: number;
}

/** The events of an outer hop beside those of an inner one. */
export interface Comparison {
  /**
   * By bytes where both carry the same events. Else each hop has an answer of its own: by the times in its events,
   * which are of one clock; without them the nth event with the nth, counted from each one's request.
   */
  readonly by: "bytes" | "times" | "number";
  readonly matched: readonly Matched[];
  /** How long events of the inner hop have been on their way that did not come through, in ms. */
  readonly waiting: readonly number[];
}

/** Compares two readings that ran at the same time. */
export function compare(inner: Reading, outer: Reading): Comparison {
  const comparison = comparisonOf(inner, outer);
  // What this process itself was late for is no hop's.
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

/** How much longer events take through the outer hop, by when they were sent; undefined without such times. */
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

/** Pairs events in order; one that stands twice is the earliest that is still free. */
function matchByBytes(
  inner: readonly ProbeEvent[],
  outer: readonly ProbeEvent[],
): (Matched & { readonly index: number })[] {
  const places = new Map<string, number[]>();
  // From the last one on, so that each list ends with its earliest place.
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

/** Median and worst of what a hop adds; what still waits counts with the time it has waited. */
export function lagOf({ matched, waiting }: Comparison): { medianMs: number; worstMs: number } | undefined {
  const lags = [...matched.map(({ lagMs }) => Math.max(0, lagMs)), ...waiting.filter((ms) => ms > LATE_MS)];
  const medianMs = median(lags);
  return medianMs === undefined ? undefined : { medianMs, worstMs: lags.reduce((a, b) => Math.max(a, b), 0) };
}

/** A head that came later than the inner hop's by this much, together with an event, was held; in ms. */
const LATE_HEAD_MS = 500;

/** What the outer hop does to the events of the inner one; undefined when it passes them on. */
export function pairSymptom(inner: Reading, outer: Reading): Symptom | undefined {
  const comparison = compare(inner, outer);
  const waiting = comparison.waiting.filter((ms) => ms > LATE_MS);
  const lag = lagOf(comparison);
  const isLate = lag !== undefined && lag.medianMs > LATE_MS;
  if (isLate && outer.events.length === 0) return nothing(waiting);
  const tail = tailSymptom(outer.events);
  // A sender that pauses within its events does so at the inner hop too.
  if (tail !== undefined && tailSymptom(inner.events) === undefined) return tail;
  const late = isLate ? lateSymptom(comparison, outer, lag.medianMs) : undefined;
  return late ?? headSymptom(inner, outer);
}

/** Fewer events that come late one by one may be a pause of the network, or of a machine. */
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
  // Two requests of their own may be answered at two speeds: then only what comes in groups was held.
  if (events < FEWEST_LATE || (by === "number" && waiting.length < 3)) return undefined;
  // Two answers may come from two backends, whose clocks differ.
  return { ...found("late"), isSure: by !== "times" };
}

/** Events came apart at the inner hop if by this much, in ms. */
const APART_MS = 50;

/** The events of the outer hop that came together and at the inner one apart: what a sender sends at once is not meant. */
function heldTogether(matched: readonly Matched[], outer: Reading): ReadonlySet<ProbeEvent> {
  const before = new Map(matched.map(({ outer: event, inner }) => [event, inner?.lastAt]));
  const groups = groupsOf(outer.events, outer.sentAt ?? 0).filter(({ events }) => {
    const times = events.flatMap((event) => before.get(event) ?? []);
    return times.length > 1 && Math.max(...times) - Math.min(...times) > APART_MS;
  });
  return new Set(groups.flatMap(({ events }) => events));
}

/** What the comparison leaves open: each hop has its own answer, and those of the outer one come later. */
export function laterBy(inner: Reading, outer: Reading): number | undefined {
  const comparison = compare(inner, outer);
  const medianMs = lagOf(comparison)?.medianMs ?? 0;
  return comparison.by === "number" && medianMs > LATE_MS ? medianMs : undefined;
}

/** One event that is under way is no proof: the hop may have closed before it. */
function nothing(waiting: readonly number[]): Symptom | undefined {
  if (waiting.length < 2) return undefined;
  return { kind: "nothing", isSure: true, lagMs: Math.max(...waiting), events: waiting.length };
}

/**
 * The outer head came late and with the first bytes, and the inner one before them. A backend that takes its time to
 * answer sends both together through each hop, and is not meant.
 */
function headSymptom(inner: Reading, outer: Reading): Symptom | undefined {
  const wait = ({ headAt = Number.NaN, sentAt = 0 }: Reading) => headAt - sentAt;
  const untilBytes = ({ headAt = Number.NaN, firstByteAt = Number.NaN }: Reading) => firstByteAt - headAt;
  const paused = outer.pauses.within(outer.sentAt ?? 0, outer.headAt ?? 0);
  const lagMs = wait(outer) - wait(inner) - paused;
  // It waited for as long as the bytes of the inner hop took.
  const isHeld = untilBytes(outer) < LATE_MS && !(untilBytes(inner) < lagMs / 2);
  if (!(lagMs > LATE_HEAD_MS) || !isHeld) return undefined;
  return { kind: "head", isSure: true, lagMs, events: 0 };
}
