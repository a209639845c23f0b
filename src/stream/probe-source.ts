import { parseDuration, parseSize } from "../base/units.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";
import { takeParameter } from "../http/query.ts";
import { renderEventBlock } from "../sse/event-block.ts";
import type { Mock } from "./mock.ts";
import { type TimedPart, timedSource } from "./timed-source.ts";

/** The parameters of a probe: `n` events, `gap` ms apart, each padded with `pad` bytes. */
export interface ProbeScript {
  readonly n: number;
  readonly gap: number;
  readonly pad: number;
}

const MAX_EVENTS = 1_000;
const MAX_GAP_MS = 600_000;
const MAX_PAD_BYTES = 64 * 1024;
/** The longest stream that a probe may ask for, in ms. */
const MAX_STREAM_MS = 3_600_000;

const ONE_TO = (most: number) => (text: string) => {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= most ? value : undefined;
};
const upTo = (most: number, value: number | undefined) =>
  value !== undefined && value <= most ? value : undefined;

const PARAMETERS = {
  n: { preset: 20, read: ONE_TO(MAX_EVENTS), expected: `a count from 1 to ${MAX_EVENTS}` },
  gap: {
    preset: 500,
    read: (text: string) => upTo(MAX_GAP_MS, parseDuration(text)),
    expected: "a time from 0ms to 10m such as 500ms",
  },
  pad: {
    preset: 0,
    read: (text: string) => upTo(MAX_PAD_BYTES, parseSize(text)),
    expected: "a size from 0 to 64k such as 5000",
  },
} as const;

/** Parses the query of a probe; returns a problem if it is invalid. */
export function readProbeQuery(query: string): ProbeScript | { readonly problem: string } {
  const read = { n: 0, gap: 0, pad: 0 };
  for (const name of ["n", "gap", "pad"] as const) {
    const { preset, read: parse, expected } = PARAMETERS[name];
    const { values } = takeParameter(query, name);
    const value = values[0] === undefined ? preset : parse(values[0]);
    if (value === undefined || values.length > 1) return { problem: `${name}: expected ${expected}` };
    read[name] = value;
  }
  if (read.n * read.gap > MAX_STREAM_MS) return { problem: "n times gap: expected at most 1h" };
  return read;
}

/**
 * The response to a probe: events `{"i","t","pad"}` with `t` in ms since 1970, relayed like a backend's. A client with
 * Last-Event-ID resumes after that event. A step of the pipeline has validated the query.
 */
export const probeMock: Mock = {
  open: (exchange: Exchange) => {
    const { request, target } = exchange;
    const script = readProbeQuery(target.query);
    if ("problem" in script) throw new TypeError(script.problem);
    const { n, gap, pad } = script;
    const head = { status: 200, fields: { "Content-Type": "text/event-stream" } };
    const seen = fieldValue(request.rawHeaders, "last-event-id") ?? "";
    const first = /^\d{1,6}$/.test(seen) ? Number(seen) + 1 : 1;
    if (request.method === "HEAD") return timedSource(exchange, head, () => undefined);
    const filling = pad === 0 ? {} : { pad: "x".repeat(pad) };
    let i = first - 1;
    const next = (): TimedPart | undefined => {
      i += 1;
      if (i > n) return undefined;
      const number = i;
      const block = () => eventOf(number, filling);
      return { after: number === first ? 0 : gap, block };
    };
    return timedSource(exchange, head, next);
  },
};

function eventOf(i: number, filling: { readonly pad?: string }): Buffer {
  return Buffer.from(
    renderEventBlock({ id: String(i), data: JSON.stringify({ i, t: Date.now(), ...filling }) }),
  );
}
