/** A time that an event carries. */
export interface Stamp {
  /** A key of the event's data, a field such as `id`, or its index among the times. */
  readonly label: string;
  /** Milliseconds since 1970 by the sender's clock. */
  readonly ms: number;
  /** In ms: 1000 for whole seconds. */
  readonly resolution: 1 | 1000;
}

/** Only the start of an event is searched, in characters. */
const LONGEST_TEXT = 4096;
const MAX_STAMPS = 8;
const DAY_MS = 86_400_000;

/** An ISO date, or digits that may be seconds or milliseconds since 1970; with the key before it. */
const TIME =
  /(?:([A-Za-z_][\w-]*)["']?\s*[:=]\s*["']?)?(?<![\w.])(?:(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)|(\d{10}(?:\d{3})?)(\.\d{1,9})?)(?![\w.]*\d)/g;

/** Returns the times in an event that may be its send time: those within a day of `now`. */
export function findStamps(text: string, now: number): readonly Stamp[] {
  const found: Stamp[] = [];
  for (const [, key, iso, digits, fraction] of text.slice(0, LONGEST_TEXT).matchAll(TIME)) {
    const time = iso === undefined ? fromEpoch(digits ?? "", fraction) : fromIso(iso);
    if (Math.abs(time.ms - now) > DAY_MS) continue;
    found.push({ label: key ?? `#${found.length}`, ...time });
    if (found.length === MAX_STAMPS) break;
  }
  return found;
}

function fromEpoch(digits: string, fraction = ""): Omit<Stamp, "label"> {
  const isSeconds = digits.length === 10;
  const value = Number(digits + fraction);
  return { ms: isSeconds ? value * 1000 : value, resolution: isSeconds && fraction === "" ? 1000 : 1 };
}

function fromIso(text: string): Omit<Stamp, "label"> {
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(text);
  const spelled = text
    .replace(" ", "T")
    .replace(",", ".")
    .replace(/([.]\d{3})\d+/, "$1");
  // The comparison cancels a difference of time zones, like a difference of clocks.
  const ms = Date.parse(hasZone ? spelled : `${spelled}Z`);
  return { ms: Number.isNaN(ms) ? 0 : ms, resolution: /[.,]\d/.test(text) ? 1 : 1000 };
}

/** Fewer events do not show whether a time is a send time. */
const FEWEST = 3;

/**
 * Returns the send time of each event in order, undefined for an event without one. Returns undefined if no key has
 * growing times: a constant key such as `created` is not a send time.
 */
export function sendTimes(
  events: readonly { readonly stamps: readonly Stamp[] }[],
): { readonly times: readonly (number | undefined)[]; readonly resolution: 1 | 1000 } | undefined {
  const labels = new Set(events.flatMap(({ stamps }) => stamps.map(({ label }) => label)));
  for (const label of labels) {
    const stamps = events.map((event) => event.stamps.find((stamp) => stamp.label === label));
    if (!isClock(stamps)) continue;
    const resolution = stamps.some((stamp) => stamp?.resolution === 1000) ? 1000 : 1;
    return { times: stamps.map((stamp) => stamp?.ms), resolution };
  }
  return undefined;
}

function isClock(stamps: readonly (Stamp | undefined)[]): boolean {
  const times = stamps.flatMap((stamp) => (stamp === undefined ? [] : [stamp.ms]));
  if (times.length < FEWEST || times.length < 0.8 * stamps.length) return false;
  const steps = times.slice(1).map((time, at) => time - (times[at] ?? time));
  const backward = steps.filter((step) => step < 0).length;
  const forward = steps.filter((step) => step > 0).length;
  // A sender may send several events with one time.
  return backward <= 0.1 * steps.length && forward >= FEWEST - 1;
}
