import { afterEach, beforeEach, expect, test } from "vitest";
import { Boundary } from "../../../src/sse/boundary.ts";
import { readWithLlhttp } from "../../support/llhttp.ts";
import { type Random, randomFrom } from "../../support/random-bytes.ts";
import {
  decode,
  endOfNextChunk,
  hasMark,
  MARK,
  randomStream,
  randomWire,
  readInOnePiece,
} from "../../support/random-streams.ts";
import { RelaySimulation } from "../../support/relay-simulation.ts";
import { VirtualTimers } from "../../support/virtual-timers.ts";

/** `npm run soak` sets a million. */
const CASES = Number(process.env["FUZZ_CASES"] ?? 20_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 7);

const HEARTBEAT_MS = 10;
const timers = new VirtualTimers();
beforeEach(() => timers.install());
afterEach(() => timers.uninstall());

/** The written bytes that came from the backend, and the number of heartbeats. */
interface Relayed {
  data: Buffer[];
  all: Buffer[];
  beats: number;
}

const CHUNK = /^([0-9a-f]+)\r\n([\s\S]*)\r\n$/;

/** The last chunk, with the trailer that some of the streams have; a spoilt byte may make another name or two trailers. */
const END = /^0\r\n(?:[!-~]+: [^\r\n]*\r\n)*\r\n$/;

/** The payload of a write: behind the head, if it comes with one, exactly one chunk, or the end. */
function payloadOf(write: Buffer): Buffer {
  let text = write.toString("latin1");
  if (text.startsWith("HTTP/1.1 ")) text = text.slice(text.indexOf("\r\n\r\n") + 4);
  if (text === "" || END.test(text)) return Buffer.alloc(0);
  const [, size = "", payload = ""] = CHUNK.exec(text) ?? [];
  if (Number.parseInt(size, 16) !== payload.length) throw new Error(`no chunk: ${JSON.stringify(text)}`);
  return Buffer.from(payload, "latin1");
}

interface Ending {
  /** The first problem; undefined if there was none. */
  fault: string | undefined;
  clientLeft: boolean;
  /** Whether the backend resets the connection instead of closing it. */
  isReset: boolean;
  drained: boolean;
}

/** Runs one case to its end and collects the written bytes in `seen`. */
async function run(sim: RelaySimulation, wire: Buffer, random: Random, seen: Relayed): Promise<Ending> {
  const { chance, upTo } = random;
  const ending: Ending = { fault: undefined, clientLeft: false, drained: false, isReset: chance(0.2) };
  let taken = 0;
  const note = (isBeat: boolean) => {
    for (; taken < sim.client.writes.length; taken++) {
      const payload = payloadOf(sim.client.writes[taken] as Buffer);
      if (payload.length === 0) continue;
      seen.all.push(payload);
      if (!isBeat) seen.data.push(payload);
      else seen.beats += payload.equals(Buffer.from(":\n")) ? 1 : Number.NaN;
    }
  };
  const start = () => {
    sim.start();
    // The opening line is sluice's; bytes that came before are sent in the same write.
    const [first = Buffer.alloc(0), ...others] = sim.client.writes.slice(taken).map(payloadOf);
    taken = sim.client.writes.length;
    const isOpened = sim.prelude && first.subarray(0, 2).equals(Buffer.from(":\n"));
    if (sim.prelude) seen.beats += isOpened ? 1 : Number.NaN;
    seen.all.push(first, ...others);
    seen.data.push(sim.prelude ? first.subarray(2) : first, ...others);
  };
  let at = 0;
  let stuck = 0;
  for (let steps = 0; steps < 10_000 && sim.connection === "open"; steps++) {
    if (sim.isAnswered && sim.relay === undefined && chance(0.8)) {
      start();
      if (chance(0.5)) sim.client.take();
    }
    if (sim.client.isFast || chance(0.2)) sim.client.take();
    if (chance(0.2)) sim.client.isFast = chance(0.5);
    if (chance(0.3)) {
      timers.advance(upTo(2 * HEARTBEAT_MS));
      note(true);
    }
    if (sim.relay !== undefined && chance(0.01)) {
      ending.clientLeft = true;
      sim.client.writable = false;
      sim.response.closed();
    }
    if (sim.relay !== undefined && chance(0.01)) {
      ending.drained = true;
      sim.relay.endAtBoundary("drained");
    }
    // After three turns without pending bytes, a paused backend would never be resumed.
    stuck = sim.isPaused && sim.relay !== undefined && sim.client.writableLength === 0 ? stuck + 1 : 0;
    if (stuck > 2) ending.fault ??= "the backend is read no more";
    if (sim.isPaused || sim.connection !== "open") continue;
    const before = seen.data.length;
    if (at < wire.length) {
      const isWhole = chance(0.4);
      const end = isWhole ? endOfNextChunk(wire, at) : at + 1 + upTo(chance(0.7) ? 6 : 200);
      const part = wire.subarray(at, end);
      at += part.length;
      sim.read(part);
    } else {
      sim.end(ending.isReset);
    }
    note(false);
    const isBehind = sim.client.writableLength >= sim.mostPending && seen.data.length > before;
    if (isBehind && !sim.isPaused && sim.connection === "open") ending.fault ??= "read on for a slow client";
  }
  if (sim.isAnswered && sim.relay === undefined) start();
  note(true);
  sim.client.take();
  await new Promise((resolve) => process.nextTick(resolve));
  note(false);
  return ending;
}

/** The bytes of the stream as they may arrive: a mark at the start is removed if a line of sluice precedes it. */
function isRelayOf(data: Buffer, body: Buffer, isWhole: boolean): boolean {
  if (data.equals(body)) return true;
  if (hasMark(body)) return data.equals(body.subarray(3));
  // Aborted inside a possible byte order mark.
  return !isWhole && data.length === 0 && MARK.subarray(0, body.length).equals(body);
}

function check(
  sim: RelaySimulation,
  wire: Buffer,
  seen: Relayed,
  { fault, clientLeft, drained, isReset }: Ending,
): string | undefined {
  if (fault !== undefined) return fault;
  const expected = readInOnePiece(wire, isReset);
  const data = Buffer.concat(seen.data);
  const all = Buffer.concat(seen.all);
  // As a decoder must read it: behind a removed mark, a second one is part of the stream.
  const isStripped = hasMark(expected.body) && !data.equals(expected.body.subarray(0, data.length));
  const original = isStripped ? Buffer.concat([MARK, data]) : data;
  if (sim.connection === "open") return "it never came to an end";
  if (timers.pending > 0) return "a timer is left";
  if (Number.isNaN(seen.beats)) return "a line of ours that is no comment";
  if (seen.beats > 0 && decode(all) !== decode(original)) return "a comment line inside an event";
  const reference = new Boundary();
  reference.scan(data, 0, data.length);
  if (sim.relay !== undefined && sim.relay.events !== reference.events) return "events counted wrong";
  if (clientLeft) {
    const isPrefix = original.equals(expected.body.subarray(0, original.length));
    return isPrefix || data.length === 0 ? undefined : "other bytes, before the client left";
  }
  if (!sim.isAnswered) return expected.hasHead || sim.client.writes.length > 0 ? "an answer lost" : undefined;
  if (drained && sim.isWhole) {
    return decode(expected.body).startsWith(decode(original).slice(0, -1))
      ? undefined
      : "ended inside an event";
  }
  if (sim.isWhole !== expected.isWhole) return expected.isWhole ? "a whole stream broken off" : "a false end";
  if (!isRelayOf(data, expected.body, expected.isWhole)) return "other bytes";
  const client = readWithLlhttp(Buffer.concat(sim.client.writes), false);
  if (client.isEnded !== sim.isWhole || client.body !== all.toString("latin1")) return "framed otherwise";
  return undefined;
}

test(`${CASES} streams with any framing and chunks, heartbeats, slow clients and aborts arrive with the same bytes`, async () => {
  const random = randomFrom(SEED);
  const counts = { whole: 0, brokenOff: 0, clientLeft: 0, drained: 0, beats: 0, unanswered: 0 };
  for (let n = 0; n < CASES; n++) {
    const wire = randomWire(randomStream(random), random);
    const sim = new RelaySimulation({
      heartbeat: random.chance(0.8) ? HEARTBEAT_MS : undefined,
      prelude: random.chance(0.5),
      clientBuffer: 1 + random.upTo(64),
    });
    const seen: Relayed = { data: [], all: [], beats: 0 };
    const ending = await run(sim, wire, random, seen);
    const fault = check(sim, wire, seen, ending);
    if (fault !== undefined) {
      const written = Buffer.concat(seen.all).toString("latin1");
      expect.fail(
        `${fault}; seed ${SEED}, case ${n}: ${JSON.stringify([wire.toString("latin1"), written, ending])}`,
      );
    }
    counts.beats += seen.beats;
    if (ending.clientLeft) counts.clientLeft++;
    else if (ending.drained) counts.drained++;
    else if (!sim.isAnswered) counts.unanswered++;
    else if (sim.isWhole) counts.whole++;
    else counts.brokenOff++;
  }
  // Otherwise the test would have tested nothing.
  const least = CASES / 200;
  for (const kind of ["whole", "brokenOff", "clientLeft", "drained", "beats"] as const) {
    expect(counts[kind], kind).toBeGreaterThan(least);
  }
  if (process.env["FUZZ_CASES"] !== undefined)
    console.log(JSON.stringify({ cases: CASES, seed: SEED, ...counts }));
}, 1_800_000);
