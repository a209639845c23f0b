import type { ProbeEvent, Reading } from "../../src/probe/reading.ts";
import { findStamps } from "../../src/probe/stamps.ts";

/** One event of a synthetic reading. */
export interface MadeEvent {
  readonly at: number;
  /** The time of its first byte; by default that of its last. */
  readonly firstAt?: number;
  /** The send time in the event, in ms after `EPOCH`. */
  readonly sent?: number;
  readonly key?: string;
  readonly seconds?: boolean;
}

/** The time of the synthetic sender's clock at 0. */
export const EPOCH = Date.now();

export function madeEvent({ at, firstAt = at, sent, key, seconds = false }: MadeEvent): ProbeEvent {
  const time = sent === undefined ? "" : `"t":${seconds ? Math.floor((EPOCH + sent) / 1000) : EPOCH + sent}`;
  return {
    firstAt,
    lastAt: at,
    size: 100,
    key: key ?? `event at ${at} ${time}`,
    id: undefined,
    stamps: findStamps(time, EPOCH),
  };
}

/** Creates a synthetic reading: request at 0, head at once, open by default. */
export function madeReading(events: readonly MadeEvent[], more: Partial<Reading> = {}): Reading {
  const made = events.map(madeEvent);
  return {
    name: "made",
    url: "http://made.test/",
    sentAt: 0,
    headAt: 1,
    firstByteAt: made[0]?.firstAt,
    lastByteAt: made.at(-1)?.lastAt,
    head: { status: 200, protocol: "HTTP/1.1", fields: [], framing: "chunked" },
    format: "sse",
    events: made,
    comments: [],
    end: { kind: "open", at: 20_000 },
    pauses: { before: () => 0, within: () => 0 },
    ...more,
  } as unknown as Reading;
}
