import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeEntries, type Entry } from "../../../src/redis/entry.ts";
import type { RedisReply } from "../../../src/redis/reply.ts";
import * as schemas from "../../../src/redis/schemas.ts";
import { readState, writeState } from "../../../src/redis/state.ts";
import { isUsableId, withId } from "../../../src/shared/event-id.ts";
import { BlockSplitter } from "../../../src/sse/block-splitter.ts";
import { isEventBlock } from "../../../src/sse/event-fields.ts";

/** Words of the protocol, and bytes that would end a line, a head or a number. */
const piece = fc.constantFrom(
  ...["ok", "other", "fenced", "OK", "0", "1", "17", "0-0", "1-1", "9007199254740993-1", "-", "id", "e"],
  ...[
    "\n",
    "\r\n",
    "\0",
    "\n\n",
    "data: x",
    "data: x\n\n",
    "{",
    '{"is":"open"}',
    "i",
    "n",
    "t",
    "b",
    "ü",
    " ",
  ],
);
const text = fc.array(piece, { maxLength: 3 }).map((pieces) => Buffer.from(pieces.join(""), "latin1"));
const reply = fc.letrec<{ reply: RedisReply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, -2, 2 ** 53, Number.NaN)),
    fc.constant(null),
    fc.array(tie("reply"), { maxLength: 7 }),
  ),
})).reply;
/** A lease reply of which most parts are valid. */
const leaseLike = fc.tuple(
  fc.oneof(fc.constantFrom(0, 1), reply),
  fc.oneof(text, reply),
  fc.oneof(text, reply),
  fc.oneof(text, reply),
  fc.oneof(fc.integer(), reply),
  fc.oneof(fc.constant(Buffer.from("1-1")), reply),
);
const entryLike = fc.tuple(
  fc.oneof(fc.constant(Buffer.from("5-1")), text),
  fc
    .tuple(text, text, fc.oneof(fc.constant(Buffer.from("1")), text), text)
    .map(([id, backendId, at, block]) => [
      ...[Buffer.from("i"), id, Buffer.from("n"), backendId],
      ...[Buffer.from("t"), at, Buffer.from("b"), block],
    ]),
);
const anything = fc.oneof(reply, leaseLike, fc.array(fc.oneof(entryLike, reply), { maxLength: 4 }));

const isLine = (value: string) => !/[\r\n\0]/.test(value);

function expectSound({ position, event }: Entry): void {
  expect(Number.isSafeInteger(position.token) && Number.isSafeInteger(position.seq)).toBe(true);
  if (event === undefined) return;
  expect(isUsableId(event.id) && isLine(event.id) && isLine(event.backendId)).toBe(true);
  // The block is one event, also with an id of ours in front.
  for (const block of [event.block, withId(event.block, event.id)]) {
    expect(new BlockSplitter(1e6).feed(Buffer.concat([block, Buffer.from("data\n\n")]))).toHaveLength(2);
  }
}

test("property: for any reply of Redis, no schema throws, and no accepted text contains a line end", () => {
  fc.assert(
    fc.property(anything, (answer) => {
      const lease = schemas.leaseReply.read(answer);
      if (lease !== undefined) {
        expect(isLine(lease.epoch)).toBe(true);
        for (const value of [lease.token, lease.leftMs, lease.top.token, lease.top.seq])
          expect(Number.isSafeInteger(value)).toBe(true);
      }
      const append = schemas.appendReply.read(answer);
      if (append?.is === "other") expect(Number.isSafeInteger(append.top.seq)).toBe(true);
      for (const entry of schemas.entriesReply(isEventBlock).read(answer) ?? []) expectSound(entry);
      for (const part of schemas.streamsReply.read(answer) ?? []) decodeEntries(part.entries);
      for (const hash of schemas.definitionsReply.read(answer) ?? []) expect(hash).toMatch(/^[\w-]{1,64}$/);
      const count = schemas.countReply.read(answer);
      if (count !== undefined) expect(count.leftMs).toBeGreaterThanOrEqual(0);
      expect(["new", "seen", undefined]).toContain(schemas.signatureReply.read(answer));
      for (const { read } of [schemas.ticketReply, schemas.ticketKeptReply, schemas.releaseReply])
        read(answer);
      for (const { read } of [schemas.newestNoticeReply, schemas.connectionIdReply]) read(answer);
    }),
    { numRuns: 20_000 },
  );
});

test("property: every block of the splitter counts as one event, also with an id in front", () => {
  const line = fc.constantFrom("data: x", ":", ": c", "id: 1", "event", "", "\u0000");
  const end = fc.constantFrom("\n", "\r", "\r\n");
  fc.assert(
    fc.property(fc.array(fc.tuple(line, end), { maxLength: 12 }), (lines) => {
      const bytes = Buffer.from(lines.map((pair) => pair.join("")).join(""));
      for (const block of new BlockSplitter(1e6).feed(bytes) ?? []) {
        expect(isEventBlock(block), JSON.stringify(String(block))).toBe(true);
        expect(isEventBlock(withId(block, "1"))).toBe(true);
        expect(isEventBlock(Buffer.concat([block, block]))).toBe(false);
        expect(isEventBlock(block.subarray(0, -1)) && !String(block).endsWith("\r\n")).toBe(false);
      }
    }),
    { numRuns: 20_000 },
  );
});

const RETRY_AT = Date.now() + 5_000;
const FAILED = { is: "failed", status: 503, code: "backend_refused", fields: [], retryAt: RETRY_AT } as const;

test.each([
  ["a state of this version", FAILED, FAILED, 0],
  ["open with a time", { is: "open", retryMs: 5 }, { is: "open", retryMs: 5 }, 0],
  ["a code of a newer version", { ...FAILED, code: "quota" }, FAILED, 1],
  ["the name of a property of every object", { ...FAILED, code: "toString" }, FAILED, 1],
  ["missing fields", { ...FAILED, fields: undefined }, FAILED, 1],
  ["an invalid status", { ...FAILED, status: 99 }, { ...FAILED, status: 502 }, 1],
  [
    "a status of a known code",
    { ...FAILED, code: "no_backend", status: "503" },
    { ...FAILED, code: "no_backend", status: 502 },
    1,
  ],
  [
    "a field that ends a line",
    {
      ...FAILED,
      fields: [
        ["Allow", "GET"],
        ["Location", "/\r\nX: 1"],
      ],
    },
    { ...FAILED, fields: [["Allow", "GET"]] },
    1,
  ],
  ["a field that is not shown", { ...FAILED, fields: [["Set-Cookie", "a=b"]] }, FAILED, 1],
  ["a text as a time", { is: "open", retryMs: "1\n\ndata: forged\n\n" }, { is: "open" }, 1],
  ["a time that is not whole ms", { is: "open", retryMs: 1.5 }, { is: "open" }, 1],
  ["a kind of a newer version", { is: "paused" }, undefined, 1],
  ["no object", [], undefined, 1],
])("a state: %s", (_, written, read, invalid) => {
  let count = 0;
  expect(readState(JSON.stringify(written), () => count++)).toEqual(read);
  expect(count).toBe(invalid);
});

test("property: reading any text as a state never throws, and returns only a state that may be shown", () => {
  const word = fc.record(
    {
      is: fc.constantFrom("open", "failed", "ended", "connecting", "new"),
      retryMs: fc.anything(),
      status: fc.oneof(fc.anything(), fc.integer({ min: 0, max: 999 })),
      code: fc.oneof(fc.anything(), fc.constantFrom("closing", "constructor")),
      fields: fc.oneof(fc.anything(), fc.array(fc.tuple(fc.constantFrom("Allow", "X"), fc.string()))),
      retryAt: fc.oneof(fc.anything(), fc.double()),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), word.map(jsonText)), (written) => {
      const state = readState(written, () => {});
      if (state === undefined) return;
      if (state.is === "open") expect(state.retryMs ?? 0).toBeLessThan(1e15);
      if (state.is !== "failed") return;
      expect(state.status).toBeGreaterThanOrEqual(300);
      expect(state.status).toBeLessThan(600);
      expect(Number.isFinite(state.retryAt)).toBe(true);
      for (const field of state.fields) expect(field.every(isLine)).toBe(true);
      expect(readState(writeState(state), () => expect.unreachable())).toEqual(state);
    }),
    { numRuns: 5_000 },
  );
});

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "";
  }
}
