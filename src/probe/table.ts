import { comparable } from "./diagnosis.ts";
import { groupsOf, median } from "./groups.ts";
import { compare, lagOf } from "./pair.ts";
import { printable } from "./printable.ts";
import type { Report } from "./probe.ts";
import type { Reading } from "./reading.ts";
import { seconds } from "./seconds.ts";
import { sendTimes } from "./stamps.ts";

const COLUMNS = ["HOP", "HEAD", "FIRST EVENT", "EVENTS", "MEDIAN LAG", "WORST LAG", "HTTP", "CODING", "END"];
const NONE = "-";

/** Formats the report as text: a table of hops, the verdict, the remedy, trials and notes. */
export function renderText({ readings, trials, notes, verdict }: Report): string {
  const rows = [COLUMNS, ...readings.map((reading) => row(reading, readings))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  lines.push("", verdict.sentence);
  const { remedy } = verdict;
  if (remedy !== undefined) {
    const rule = remedy.rule === undefined ? "" : ` [${remedy.rule}]`;
    if (remedy.directive !== undefined) lines.push(`  fix: ${remedy.directive}${rule}`);
    lines.push(remedy.directive === undefined ? `  fix: ${remedy.text}${rule}` : `       ${remedy.text}`);
  }
  for (const { outcome } of trials) lines.push(`  tried: ${outcome}`);
  for (const { hop, text, rule } of notes)
    lines.push(`  note: ${hop}: ${text}${rule === undefined ? "" : ` [${rule}]`}`);
  return `${lines.join("\n")}\n`;
}

function row(reading: Reading, readings: readonly Reading[]): string[] {
  const { sentAt = 0, headAt, events, fault, head, coding } = reading;
  const since = (at: number | undefined) => (at === undefined ? NONE : seconds(at - sentAt));
  const lag = lagsOf(reading, readings);
  const status = head !== undefined && head.status !== 200 ? ` ${head.status}` : "";
  return [
    reading.name,
    since(headAt),
    since(events[0]?.lastAt),
    String(events.length),
    lag === undefined ? NONE : seconds(lag.medianMs),
    lag === undefined ? NONE : seconds(lag.worstMs),
    head === undefined
      ? NONE
      : `${head.protocol.replace("HTTP/", "")}${reading.tlsMs === undefined ? "" : " TLS"}${status}`,
    coding === undefined ? NONE : printable(coding),
    fault === undefined ? ending(reading) : fault.kind,
  ];
}

const ENDINGS = {
  open: "open",
  limit: "limit",
  complete: "complete",
  truncated: "broken off",
  reset: "reset",
  closed: "closed",
} as const;

function ending({ end, sentAt = 0 }: Reading): string {
  if (end === undefined) return NONE;
  return end.kind === "open" ? ENDINGS.open : `${ENDINGS[end.kind]} at ${seconds(end.at - sentAt)}`;
}

/** Returns the lag of a hop's events: against the innermost hop, or by the times in the events. */
export function lagsOf(
  reading: Reading,
  readings: readonly Reading[],
): { readonly medianMs: number; readonly worstMs: number } | undefined {
  const [innermost] = comparable(readings);
  if (innermost === undefined || reading.fault !== undefined) return undefined;
  if (innermost !== reading) return lagOf(compare(innermost, reading));
  const stamps = sendTimes(reading.events);
  if (stamps === undefined || stamps.resolution !== 1) return undefined;
  // Compares only within each group: this cancels a difference of clocks, and a history is not a delay.
  const times = new Map(reading.events.map((event, at) => [event, stamps.times[at] ?? Number.NaN]));
  const lags = groupsOf(reading.events, reading.sentAt ?? 0).flatMap(({ events }) => {
    const last = events.reduce((latest, event) => Math.max(latest, times.get(event) ?? latest), 0);
    return events.map((event) => last - (times.get(event) ?? last)).filter((ms) => !Number.isNaN(ms));
  });
  return { medianMs: median(lags) ?? 0, worstMs: lags.reduce((a, b) => Math.max(a, b), 0) };
}
