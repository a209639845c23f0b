import { pino } from "pino";
import { expect, test } from "vitest";
import { createGateway } from "../../src/gateway/gateway.ts";
import { afterTest } from "../support/after-test.ts";
import { chunkOf } from "../support/backend.ts";
import {
  type Delivery,
  type Plan,
  PlannedClient,
  randomPlan,
  startPlannedBackend,
} from "../support/fuzz-peers.ts";
import { inlineConfig } from "../support/gateway.ts";
import { readWithLlhttp } from "../support/llhttp.ts";
import { type Random, randomFrom } from "../support/random-bytes.ts";
import {
  decode,
  hasMark,
  type Reading,
  randomStream,
  randomWire,
  readInOnePiece,
} from "../support/random-streams.ts";

/** `npm run soak` sets more. */
const CASES = Number(process.env["FUZZ_CASES"] ?? 2_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 5);
/** Exchanges under way at a time. */
const CLIENTS = 24;

const OURS = Buffer.from(":\n");

/** One stream in `BIG` is larger than the kernels' buffers and `clientBuffer` together, and its client reads slowly. */
const BIG = 1_000;
const BIG_BYTES = 8 * 1024 * 1024;

function bigWire(): Buffer {
  const chunk = chunkOf(Buffer.alloc(64 * 1024, "data: x\n\n"));
  const chunks = Array.from({ length: BIG_BYTES / (64 * 1024) }, () => chunk);
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  return Buffer.concat([Buffer.from(head), ...chunks, Buffer.from("0\r\n\r\n")]);
}

function makePlan(n: number, random: Random): Plan {
  const isBig = n % BIG === BIG - 1;
  const wire = isBig ? bigWire() : randomWire(randomStream(random), random);
  const reading = readInOnePiece(wire, true);
  const isCommented = !isBig && random.chance(0.3);
  const path = `/${isCommented ? "commented" : "bare"}/${n}`;
  return randomPlan(wire, reading, path, isCommented ? 0.3 : 0.02, random);
}

/** Compares two bodies; with `isCommented`, without sluice's comment lines. */
function isSame(body: Buffer, expected: Buffer, isCommented: boolean): boolean {
  if (!isCommented) return body.equals(expected);
  // sluice's comment line comes before a byte order mark; the mark is then removed.
  const text = hasMark(expected) ? expected.subarray(3) : expected;
  return body.includes(OURS) && decode(body) === decode(text);
}

function isBegin(body: Buffer, expected: Buffer): boolean {
  return body.equals(expected.subarray(0, body.length));
}

/** Returns the problem of a delivery; undefined if there is none. */
function faultOf(plan: Plan, reading: Reading, { bytes, hasLeft, isKept }: Delivery): string | undefined {
  const isCommented = plan.path.startsWith("/commented");
  const answer = readWithLlhttp(bytes, false);
  const body = Buffer.from(answer.body, "latin1");
  const [head] = answer.heads;
  if (hasLeft)
    return isCommented || head?.status !== 200 || isBegin(body, reading.body) ? undefined : "other bytes";
  // After a reset, the rest of a response that ends with its connection looks complete to every reader.
  if (plan.after === "reset")
    return faultAfterReset(isCommented, reading, body, answer.isEnded, head?.status);
  if (!reading.hasHead) return head?.status === 502 && answer.isEnded ? undefined : "no refusal";
  if (head?.status !== 200) return `status ${head?.status}`;
  if (answer.isEnded !== reading.isWhole)
    return reading.isWhole ? "a whole stream broken off" : "a false end";
  if (isKept !== answer.isEnded) return "a connection that is not kept";
  if (reading.isWhole) return isSame(body, reading.body, isCommented) ? undefined : "other bytes";
  return isCommented || isBegin(body, reading.body) ? undefined : "other bytes before the end";
}

function faultAfterReset(
  isCommented: boolean,
  reading: Reading,
  body: Buffer,
  isEnded: boolean,
  status: number | undefined,
): string | undefined {
  if (status === 502) return undefined;
  if (isEnded && !reading.isWhole) return "a false end";
  return isCommented || isBegin(body, reading.body) ? undefined : "other bytes before a reset";
}

test(`${CASES} streams over real connections, reused and new, arrive as sent or end visibly broken`, async () => {
  const plans = new Map<number, Plan>();
  const upstream = `http://127.0.0.1:${await startPlannedBackend(plans)}`;
  const stream = { clientBuffer: "64k" };
  const config = inlineConfig({
    routes: {
      bare: { match: { path: "/bare/*" }, upstream, stream: { ...stream, heartbeat: "off", prelude: false } },
      commented: {
        match: { path: "/commented/*" },
        upstream,
        stream: { ...stream, comments: "on", heartbeat: "1ms" },
      },
    },
  });
  const gateway = createGateway(config, { log: pino({ level: "silent" }) });
  const port = Number((await gateway.listen())[0]?.split(":").at(-1));
  afterTest(() => gateway.close({ now: true }));

  const random = randomFrom(SEED);
  const counts = { whole: 0, broken: 0, refused: 0, left: 0, kept: 0 };
  const count = (reading: Reading, { hasLeft, isKept }: Delivery) => {
    if (isKept) counts.kept++;
    if (hasLeft) counts.left++;
    else if (!reading.hasHead) counts.refused++;
    else counts[reading.isWhole ? "whole" : "broken"]++;
  };
  let last = 0;
  const askInTurn = async () => {
    const client = new PlannedClient(port);
    while (last < CASES) {
      const n = last++;
      const plan = makePlan(n, random);
      plans.set(n, plan);
      const delivery = await client.ask(plan);
      plans.delete(n);
      const reading = readInOnePiece(plan.wire, false);
      const fault = faultOf(plan, reading, delivery);
      if (fault !== undefined) {
        const texts = [plan.wire, delivery.bytes].map((bytes) => bytes.toString("latin1").slice(0, 2_000));
        expect.fail(
          `${fault}; seed ${SEED}, case ${n}: ${JSON.stringify({ ...plan, wire: texts[0], got: texts[1] })}`,
        );
      }
      count(reading, delivery);
    }
    client.leave();
  };
  await Promise.all(Array.from({ length: CLIENTS }, askInTurn));
  // Otherwise the test would have tested nothing.
  for (const kind of ["whole", "broken", "refused", "left", "kept"] as const)
    expect(counts[kind], kind).toBeGreaterThan(CASES / 100);
  if (process.env["FUZZ_CASES"] !== undefined)
    console.log(JSON.stringify({ cases: CASES, seed: SEED, ...counts }));
}, 1_800_000);
