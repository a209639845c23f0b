import { createParser, type EventSourceMessage } from "eventsource-parser";
import fc from "fast-check";
import { expect, test } from "vitest";
import { renderEventBlock } from "../../../src/sse/event-block.ts";

const parsed = (text: string): EventSourceMessage[] => {
  const events: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => events.push(event) }).feed(text);
  return events;
};

test("property: a client parses what was rendered", () => {
  const word = fc.string({ minLength: 1 }).filter((text) => !/[\r\n\0]/.test(text) && text.trim() === text);
  const parts = fc.record(
    { data: fc.string(), event: word, id: word, comment: fc.string(), retry: fc.nat() },
    { requiredKeys: ["data"] },
  );
  fc.assert(
    fc.property(parts, (event) => {
      const [read, ...more] = parsed(renderEventBlock(event));
      expect(more).toEqual([]);
      expect(read?.data).toBe(event.data.replace(/\r\n|\r/g, "\n"));
      expect(read?.event).toBe(event.event);
      expect(read?.id).toBe(event.id);
    }),
    { numRuns: 2000 },
  );
});

test("each line of data gets a field of its own, and comments come first", () => {
  const block = renderEventBlock({ data: "a\n\nb", event: "e", id: "1", retry: 5, comment: "c\n" });
  expect(block).toBe(": c\n:\nevent: e\nid: 1\nretry: 5\ndata: a\ndata:\ndata: b\n\n");
});

test("a block of comments alone gets no empty line, which some decoders dispatch as an event", () => {
  expect(renderEventBlock({ comment: "x" })).toBe(": x\n");
});
