import fc from "fast-check";
import { expect, test } from "vitest";
import { Boundary } from "../../../src/sse/boundary.ts";
import { wholeEvents } from "../../../src/sse/whole-events.ts";

const count = (text: string) => wholeEvents(Buffer.from(text), 0, Buffer.byteLength(text));

test.each([
  ["data: 1\n\n", 1],
  ["id: 1\ndata: a\ndata: b\n\nevent: x\ndata\n\n", 2],
  [":\n\n", 0],
  [": only\n: comments\n", 0],
  [": a comment\ndata: 1\n\n:\n", 1],
  ["\n\n", 0],
  ["x\n\n\n\n", 1],
])("%j is made of whole blocks, of which %i are events", (text, events) => {
  expect(count(text)).toBe(events);
});

test.each([
  "data: 1",
  "data: 1\n",
  "data: 1\n\ndata: 2\n",
  ":",
  "data: 1\r\n\r\n",
  "\r",
  "a\rb\n\n",
  "data: 1\n\n\r",
])("%j is not, or not for sure", (text) => {
  expect(count(text)).toBe(-1);
});

test("what it takes, a Boundary would have taken the same way, and stand as before", () => {
  const piece = fc.constantFrom(
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    ":",
    ": c\n",
    "data: a\n",
    "data: b\n\n",
    "x",
    "\u00e9",
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  let taken = 0;
  fc.assert(
    fc.property(text, text, (before, part) => {
      const boundary = new Boundary();
      const [first, bytes] = [Buffer.from(before), Buffer.from(part)];
      boundary.scan(first, 0, first.length);
      fc.pre(boundary.isFresh);
      const seen = boundary.events;
      const events = wholeEvents(bytes, 0, bytes.length);
      fc.pre(events >= 0);
      taken += 1;
      boundary.scan(bytes, 0, bytes.length);
      expect(boundary.events - seen).toBe(events);
      expect(boundary.isFresh).toBe(true);
      expect(boundary.atBorder).toBe(true);
    }),
    { numRuns: 20_000, maxSkipsPerRun: 1_000 },
  );
  expect(taken).toBeGreaterThan(1_000);
});
