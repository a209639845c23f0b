import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockSplitter } from "../../../src/sse/block-splitter.ts";
import { readEvent, readEventFields, withoutId } from "../../../src/sse/event-fields.ts";

const split = (text: string | Buffer, sizes: readonly number[] = [], limit = 1e6): string[] | undefined => {
  const bytes = Buffer.from(text);
  const splitter = new BlockSplitter(limit);
  const blocks: string[] = [];
  for (let from = 0, n = 0; from < bytes.length; n++) {
    const to = from + Math.max(1, sizes[n % Math.max(1, sizes.length)] ?? bytes.length);
    // Each chunk is a copy that is overwritten afterwards, as a read buffer is.
    const chunk = Buffer.from(bytes.subarray(from, to));
    const found = splitter.feed(chunk);
    if (found === undefined) return undefined;
    chunk.fill(0x2a);
    blocks.push(...found.map(String));
    from = to;
  }
  return blocks;
};

test.each([
  ["data: a\n\ndata: b\n\n", ["data: a\n\n", "data: b\n\n"]],
  ["data: a\r\n\r\ndata: b\r\n\r\n", ["data: a\r\n\r\n", "data: b\r\n\r\n"]],
  ["data: a\r\rdata: b\r\r", ["data: a\r\r", "data: b\r\r"]],
  [":c\n\n:d\r\n:e\rdata: a\n:f\n\n:g\n", ["data: a\n:f\n\n"]],
  ["data: a\n\rdata: b\n\n", ["data: a\n\r", "data: b\n\n"]],
  ["\n\n\n", []],
  ["data: never ended\n", []],
  ["\uFEFFdata: a\n\n", ["data: a\n\n"]],
])("%j is split into the same blocks, whatever its chunks are", (text, blocks) => {
  for (const sizes of [[], [1], [2], [3], [1, 5]]) expect(split(text, sizes)).toEqual(blocks);
});

test("a block longer than the limit is refused, complete or not", () => {
  expect(split(`data: ${"x".repeat(94)}\n\n`, [10], 102)).toHaveLength(1);
  expect(split(`data: ${"x".repeat(95)}\n\n`, [10], 102)).toBeUndefined();
  expect(split(`data: ${"x".repeat(1000)}`, [10], 102)).toBeUndefined();
});

const line = fc.oneof(
  fc.constantFrom(
    "data: 1",
    "data",
    "id: 7",
    "id",
    "event: e",
    "retry: 10",
    ":c",
    "",
    "",
    "",
    "x: y",
    "data:  é",
  ),
  fc.string({ maxLength: 8 }).map((text) => text.replace(/[\r\n\0\uFEFF]/g, "")),
);
const lineEnd = fc.constantFrom("\n", "\r\n", "\r");

test("the reference parser reads the same events from the blocks as from the whole stream", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(line, lineEnd), { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      (lines, sizes) => {
        const text = `${lines.map(([content, end]) => content + end).join("")}\n\n`;
        const parse = (input: string) => {
          const events: { event: string; data: string }[] = [];
          createParser({ onEvent: ({ event = "message", data }) => events.push({ event, data }) }).feed(
            input,
          );
          return events;
        };
        const blocks = split(text, sizes) ?? [];
        // The reference parser holds a last CR back, because an LF may follow.
        expect(blocks.flatMap((block) => parse(`${block}:\n`))).toEqual(parse(text));
        expect(blocks.flatMap((block) => readEvent(Buffer.from(block)) ?? [])).toEqual(parse(text));
      },
    ),
    { numRuns: 2000 },
  );
});

test.each([
  ["id: 1\ndata: x\n\n", { id: "1", retry: undefined, isRetryOnly: false }],
  ["id: 1\nid:2\r\ndata: x\n\n", { id: "2", retry: undefined, isRetryOnly: false }],
  ["id: a\0b\ndata: x\n\n", { id: undefined, retry: undefined, isRetryOnly: false }],
  ["id\n\n", { id: "", retry: undefined, isRetryOnly: false }],
  ["retry: 10\n:c\n\n", { id: undefined, retry: 10, isRetryOnly: true }],
  ["retry: soon\n\n", { id: undefined, retry: undefined, isRetryOnly: true }],
  ["data: id: 5\n\n", { id: undefined, retry: undefined, isRetryOnly: false }],
])("reads %j", (block, fields) => {
  expect(readEventFields(Buffer.from(block))).toEqual(fields);
});

test("removes ids and nothing else", () => {
  const cut = withoutId(Buffer.from("id: 1\r\ndata: id: 2\rid\n: id: 3\nidx: 4\n\n"));
  expect(String(cut)).toBe("data: id: 2\r: id: 3\nidx: 4\n\n");
  const same = Buffer.from("data: 1\n\n");
  expect(withoutId(same)).toBe(same);
});

test("lines without a colon are parsed in linear time", () => {
  const block = Buffer.from(`${"x\n".repeat(500_000)}\n`);
  const begun = performance.now();
  readEventFields(block);
  expect(performance.now() - begun).toBeLessThan(2_000);
});
