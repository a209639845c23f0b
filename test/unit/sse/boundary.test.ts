import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Boundary } from "../../../src/sse/boundary.ts";

/** Pieces of streams that matter to a line scanner: all line ends, comments, fields, odd bytes. */
const piece = fc.constantFrom(
  "\n",
  "\r",
  "\r\n",
  "\n\n",
  "\r\r",
  "\r\n\r\n",
  ":",
  ": hello",
  "data: a",
  "data",
  "event: b",
  "id: 1",
  "retry: 5",
  "x",
  " ",
  "\0",
  "\u00e9",
);
const streamText = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
const streamAndCuts = fc.tuple(streamText, fc.array(fc.nat(200), { maxLength: 8 }));

function cut(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text);
  const points = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return points.slice(1).map((end, index) => bytes.subarray(points[index], end));
}

/** Counts the blocks with a field, by the WHATWG grammar on the whole text and without any code of the scanner. */
function blocksWithFields(text: string): number {
  const lines = text.split(/\r\n|\r|\n/);
  lines.pop(); // Text after the last line end is not a complete line.
  let [blocks, hasField] = [0, false];
  for (const line of lines) {
    if (line === "") {
      if (hasField) blocks++;
      hasField = false;
    } else if (!line.startsWith(":")) hasField = true;
  }
  return blocks;
}

/** Whether no event is open at the end of the text: complete lines, and no field since the last empty one. */
function isBetweenBlocks(text: string): boolean {
  if (text !== "" && !/[\r\n]$/.test(text)) return false;
  const lines = text.split(/\r\n|\r|\n/).slice(0, -1);
  const sinceEmpty = lines.slice(lines.lastIndexOf("") + 1);
  return sinceEmpty.every((line) => line.startsWith(":"));
}

/** Scans a whole chunk; returns the position up to which it was scanned. */
function scan(boundary: Boundary, chunk: Uint8Array): number {
  return boundary.scan(chunk, 0, chunk.length);
}

/** Returns every position of the text at which the scanner reports an event boundary. */
function borders(text: string): number[] {
  const boundary = new Boundary();
  const found = boundary.isAtBoundary ? [0] : [];
  [...Buffer.from(text)].forEach((byte, at) => {
    scan(boundary, Uint8Array.of(byte));
    if (boundary.isAtBoundary) found.push(at + 1);
  });
  return found;
}

function decode(text: string): unknown[] {
  const seen: unknown[] = [];
  const parser = createParser({
    onEvent: (event) => seen.push(event),
    onRetry: (retry) => seen.push({ retry }),
  });
  // The parser holds a last CR back, because an LF may follow; a comment line shows that none does.
  parser.feed(`${text}:\n`);
  return seen;
}

const insertAll = (text: string, positions: readonly number[], line: string): string => {
  const bytes = Buffer.from(text);
  const points = [0, ...positions, bytes.length];
  return points
    .slice(1)
    .map((end, index) => bytes.toString("utf8", points[index], end))
    .join(line);
};

test("the chunks of a stream do not change the state after it", () => {
  fc.assert(
    fc.property(streamAndCuts, ([text, cuts]) => {
      const whole = new Boundary();
      scan(whole, Buffer.from(text));
      const pieces = new Boundary();
      for (const chunk of cut(text, cuts)) expect(scan(pieces, chunk)).toBe(chunk.length);
      expect([pieces.isAtBoundary, pieces.events]).toEqual([whole.isAtBoundary, whole.events]);
    }),
    { numRuns: 3000 },
  );
});

test("it counts the same event blocks as a simple parser of the grammar", () => {
  fc.assert(
    fc.property(streamText, (text) => {
      const boundary = new Boundary();
      scan(boundary, Buffer.from(text));
      expect(boundary.events).toBe(blocksWithFields(text));
    }),
    { numRuns: 3000 },
  );
});

test("every reported boundary is between two blocks", () => {
  fc.assert(
    fc.property(streamText, (text) => {
      const bytes = Buffer.from(text);
      for (const at of borders(text)) expect(isBetweenBlocks(bytes.toString("utf8", 0, at))).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test("every boundary that ends with LF is reported", () => {
  fc.assert(
    fc.property(streamText, (text) => {
      const bytes = Buffer.from(text);
      const reported = new Set(borders(text));
      for (let at = 1; at <= bytes.length; at++) {
        if (bytes[at - 1] === 0x0a && isBetweenBlocks(bytes.toString("utf8", 0, at))) {
          expect(reported.has(at)).toBe(true);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test("comment lines at all boundaries change no event, and without them the bytes are the same", () => {
  fc.assert(
    fc.property(streamText, (text) => {
      const positions = borders(text);
      const relayed = insertAll(text, positions, ":\n");
      expect(decode(relayed)).toEqual(decode(text));
      // The places of the inserted lines are known, so that they can be removed: nothing else may have changed.
      let restored = relayed;
      for (const at of [...positions].reverse()) {
        const bytes = Buffer.from(restored);
        const shift = positions.filter((other) => other < at).length * 2;
        expect(bytes.toString("utf8", at + shift, at + shift + 2)).toBe(":\n");
        restored = Buffer.concat([bytes.subarray(0, at + shift), bytes.subarray(at + shift + 2)]).toString();
      }
      expect(restored).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test("control: a comment line at an arbitrary place changes events", () => {
  const text = "data: a\nid: 1\n\n";
  expect(decode(insertAll(text, [7], ":\n"))).not.toEqual(decode(text));
});

test.each([
  ["LF", "data: 1\n\n"],
  ["CRLF", "data: 1\r\n\r\n"],
  ["CR", "data: 1\r\r"],
])("the end of an event in %s is a boundary, whatever its chunks are", (_name, event) => {
  for (let at = 0; at <= event.length; at++) {
    const boundary = new Boundary();
    scan(boundary, Buffer.from(event.slice(0, at)));
    expect(boundary.isAtBoundary).toBe(at === 0 || at === event.length);
    scan(boundary, Buffer.from(event.slice(at)));
    expect([boundary.isAtBoundary, boundary.events]).toEqual([true, 1]);
  }
});

test("there is no boundary between the CR and the LF of an empty line", () => {
  const boundary = new Boundary();
  scan(boundary, Buffer.from("data: 1\r\n\r"));
  expect(boundary.isAtBoundary).toBe(false);
});

test("stopAtBoundary stops at the end of the first block", () => {
  fc.assert(
    fc.property(streamText, fc.constantFrom("data: open", "id: 7\ndata: open\r\n"), (text, open) => {
      const boundary = new Boundary();
      scan(boundary, Buffer.from(open));
      const rest = Buffer.from(text);
      const read = boundary.scan(rest, 0, rest.length, true);
      const first = borders(open + text).find((at) => at > Buffer.byteLength(open));
      expect(read).toBe(first === undefined ? rest.length : first - Buffer.byteLength(open));
    }),
    { numRuns: 2000 },
  );
});
