import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  LineSplitter,
  type Splitter,
  type SplitterOutput,
  SseSplitter,
} from "../../../src/probe/event-splitter.ts";

/** Feeds pieces to a splitter, the nth at time n, and returns its output. */
function split(create: (output: SplitterOutput) => Splitter, pieces: readonly (string | Buffer)[]) {
  const events: [text: string, firstAt: number, lastAt: number][] = [];
  const comments: number[] = [];
  const splitter = create({
    onEvent: ({ bytes, firstAt, lastAt }) => events.push([bytes.toString(), firstAt, lastAt]),
    onComment: (at) => comments.push(at),
  });
  for (const [at, piece] of pieces.entries()) splitter.feed(Buffer.from(piece), at);
  return { events, comments };
}
const sse = (...pieces: readonly (string | Buffer)[]) => split((output) => new SseSplitter(output), pieces);
const lines = (...pieces: readonly (string | Buffer)[]) =>
  split((output) => new LineSplitter(output), pieces);

describe("an event stream", () => {
  test("is split into events with the times of their first and last byte", () => {
    expect(sse("data: a\n\nda", "ta: b\n", "\n").events).toEqual([
      ["data: a\n\n", 0, 0],
      ["data: b\n\n", 0, 2],
    ]);
  });

  test("may have comment lines between events, which belong to no event", () => {
    const { events, comments } = sse(":\n", ": beat\ndata: a\n\n:\n", "data: b\n\n");
    expect(events.map(([text]) => text)).toEqual(["data: a\n\n", "data: b\n\n"]);
    expect(comments).toEqual([0, 1, 1]);
  });

  test.each([
    ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n"],
    ["CR", "data: a\r\rdata: b\r\r"],
    ["a byte order mark", "\ufeffdata: a\n\ndata: b\n\n"],
  ])("may use %s, however it is cut", (_, text) => {
    const bytes = Buffer.from(text);
    for (let at = 1; at < bytes.length; at += 1) {
      const { events } = sse(bytes.subarray(0, at), bytes.subarray(at));
      expect(events.map(([event]) => event.trim())).toEqual(["data: a", "data: b"]);
    }
  });

  test("gives the same events for any split, except for line ends between them", () => {
    const line = fc.constantFrom("data: x", "id: 1", ":", ": c", "event: e", "data");
    const block = fc.array(line, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), fc.array(fc.nat(200)), (blocks, cuts) => {
        const bytes = Buffer.from(blocks.map((parts) => `${parts.join("\n")}\n\n`).join(""));
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        const whole = sse(bytes);
        const cut = sse(...pieces);
        expect(cut.events.map(([text]) => text)).toEqual(whole.events.map(([text]) => text));
        expect(cut.comments.length).toBe(whole.comments.length);
      }),
    );
  });
});

test("lines are events with their times; empty lines are heartbeats", () => {
  const { events, comments } = lines('{"a":1}\n{"b"', ":2}\r\n\n\r\n", '\u001e{"c":3}\n\u001e\n', "rest");
  expect(events.map(([text, ...times]) => [text.trim(), ...times])).toEqual([
    ['{"a":1}', 0, 0],
    ['{"b":2}', 0, 1],
    ['\u001e{"c":3}', 2, 2],
  ]);
  expect(comments).toEqual([1, 1, 2]);
});
