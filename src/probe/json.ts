import type { Report } from "./probe.ts";
import type { Reading } from "./reading.ts";
import { softwareOf, tellingFields } from "./software.ts";
import { lagsOf } from "./table.ts";

/** The version of the report's schema; removing or changing a field raises it. */
const VERSION = 1;

/** Formats the report as JSON. Times are milliseconds since the request was sent. */
export function renderJson({ readings, trials, notes, verdict, connections }: Report): string {
  const { exit, ...said } = verdict;
  const report = {
    version: VERSION,
    verdict: said,
    exit,
    hops: readings.map((reading) => hopOf(reading, readings)),
    trials,
    notes,
    connections,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function hopOf(reading: Reading, readings: readonly Reading[]): Record<string, unknown> {
  const { head, end, fault, sentAt = 0 } = reading;
  const since = (at: number | undefined) => (at === undefined ? undefined : rounded(at - sentAt));
  const lag = lagsOf(reading, readings);
  return {
    name: reading.name,
    url: reading.url,
    connectMs: rounded(reading.connectMs),
    tlsMs: rounded(reading.tlsMs),
    alpn: reading.alpn,
    status: head?.status,
    protocol: head?.protocol,
    framing: head?.framing,
    coding: reading.coding,
    format: reading.format,
    software: head && softwareOf(head.fields)?.name,
    fields: head && tellingFields(head.fields),
    headMs: since(reading.headAt),
    firstByteMs: since(reading.firstByteAt),
    bytes: reading.bytes,
    lag: lag && { medianMs: rounded(lag.medianMs), worstMs: rounded(lag.worstMs) },
    comments: reading.comments.map(since),
    events: reading.events.map(({ firstAt, lastAt, size, id }) => ({
      firstMs: since(firstAt),
      lastMs: since(lastAt),
      bytes: size,
      id,
    })),
    end: end && { kind: end.kind, ms: since(end.at) },
    fault,
  };
}

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 10) / 10;
