import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AnswerReader, type AnswerReaderOptions } from "../../../src/answers/answer-reader.ts";
import { answerStart, endsBetweenEvents } from "../../../src/answers/answer-start.ts";
import { History } from "../../../src/shared/history.ts";
import { MemoryStore } from "../../../src/shared/memory-store.ts";
import type { StoredEvent } from "../../../src/shared/store.ts";

const GENERATION = "Xb3_a9Qk";

/** The record of an answer, made of reads. */
function recordOf(reads: readonly Buffer[], options: Partial<AnswerReaderOptions> = {}): History {
  const history = new History({ events: 1e9, bytes: 1e9, ageMs: 1e15 });
  const store = new MemoryStore().open();
  store.start({
    onRecord: (record) => history.reset(record),
    onEvents: (events: readonly StoredEvent[]) => {
      for (const event of events) history.push(event);
    },
    onState() {},
    onLead() {},
    onFollow() {},
    onDegraded() {},
    held: () => [],
  });
  const reader = new AnswerReader({
    hasEvents: true,
    addsIds: true,
    generation: GENERATION,
    maxHeldBytes: 1e6,
    hasId: (id) => history.has(id),
    ...options,
  });
  for (const read of reads) store.append(reader.feed(read));
  store.append(reader.rest());
  return history;
}

const textOf = (history: History): string =>
  Buffer.concat(history.after(0).map(({ block }) => block)).toString("latin1");

const read = (text: string): Buffer => Buffer.from(text, "latin1");

/** What a client gets that comes back with an id; undefined if it is refused. */
function restAfter(history: History, id: string): string | undefined {
  const start = answerStart(history, id);
  if (start === undefined) return undefined;
  const blocks = history.after(start.seq).map(({ block }) => block);
  return Buffer.concat([start.rest ?? Buffer.alloc(0), ...blocks]).toString("latin1");
}

test("the events of one read are one entry, each with an id of its own", () => {
  const history = recordOf([read("data: a\n\ndata: b\n\nda"), read("ta: c\n\n")]);
  expect(history.lastSeq).toBe(2);
  expect(textOf(history)).toBe(
    "id: ~Xb3_a9Qk-1\ndata: a\n\nid: ~Xb3_a9Qk-2\ndata: b\n\nid: ~Xb3_a9Qk-3\ndata: c\n\n",
  );
});

test("an id of the backend stays; one that comes again is replaced", () => {
  const history = recordOf([
    read("id: x\ndata: a\n\nid: x\ndata: b\n\n"),
    read("id: x\ndata: c\n\ndata: d\n\n"),
  ]);
  expect(textOf(history)).toBe(
    "id: x\ndata: a\n\nid: ~Xb3_a9Qk-2\ndata: b\n\nid: ~Xb3_a9Qk-3\ndata: c\n\nid: ~Xb3_a9Qk-4\ndata: d\n\n",
  );
  expect(restAfter(history, "x")).toBe(textOf(history).slice("id: x\ndata: a\n\n".length));
});

test("comment lines, an incomplete last event and CRLF stay as they are", () => {
  const history = recordOf([read(": ping\n\ndata: a\r\n\r\n: OPENROUTER\n"), read("data: half")]);
  expect(textOf(history)).toBe(": ping\n\nid: ~Xb3_a9Qk-1\ndata: a\r\n\r\n: OPENROUTER\ndata: half");
});

test("with ids: never no byte is changed, and an id of the backend is found inside an entry", () => {
  const text = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n";
  const history = recordOf([read(text)], { addsIds: false });
  expect(textOf(history)).toBe(text);
  expect(history.lastSeq).toBe(1);
  expect(restAfter(history, "2")).toBe("id: 3\ndata: c\n\n");
  expect(restAfter(history, "3")).toBe("");
  expect(restAfter(history, "4")).toBeUndefined();
});

test("a body that is no event stream is kept read by read", () => {
  const history = recordOf([read('{"a":1}\n{"b"'), read(":2}\n")], { hasEvents: false });
  expect(textOf(history)).toBe('{"a":1}\n{"b":2}\n');
});

test("an event that is too long does not wait for its end", () => {
  const long = `data: ${"x".repeat(2_000)}`;
  const history = recordOf([read(`data: a\n\n${long}`), read("yy\n\ndata: c\n\n")], { maxHeldBytes: 1_000 });
  expect(textOf(history)).toBe(`id: ~Xb3_a9Qk-1\ndata: a\n\n${long}yy\n\nid: ~Xb3_a9Qk-3\ndata: c\n\n`);
});

test("a heartbeat fits only behind a whole event", () => {
  expect(endsBetweenEvents(read("data: a\n\n"))).toBe(true);
  expect(endsBetweenEvents(read(": ping\n"))).toBe(true);
  expect(endsBetweenEvents(read("data: a\n"))).toBe(false);
  expect(endsBetweenEvents(read("data: a"))).toBe(false);
});

describe("any stream, cut anywhere", () => {
  const line = fc.constantFrom(
    "data: a",
    "data: bb",
    "event: e",
    ": c",
    "id: 7",
    "id: 8",
    "retry: 9",
    "data",
  );
  const block = fc
    .tuple(fc.array(line, { maxLength: 3 }), fc.constantFrom("\n", "\r\n"))
    .map(([lines, end]) => [...lines, "data: z", ""].map((text) => text + end).join(""));
  const stream = fc.array(block, { minLength: 1, maxLength: 8 }).map((blocks) => blocks.join(""));
  const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 8 });

  const readsOf = (text: string, at: readonly number[]): Buffer[] => {
    const ends = [...new Set(at.filter((cut) => cut > 0 && cut < text.length))].toSorted((a, b) => a - b);
    return [...ends, text.length].map((end, index) => read(text.slice(ends[index - 1] ?? 0, end)));
  };

  const withoutIds = (text: string): string => text.replace(/^id:.*(?:\r\n|\n)/gm, "");

  test("loses and doubles nothing but the ids, and every id leads to the rest", () => {
    fc.assert(
      fc.property(stream, cuts, (text, at) => {
        const history = recordOf(readsOf(text, at));
        const whole = textOf(history);
        expect(withoutIds(whole)).toBe(withoutIds(text));
        let end = 0;
        for (const event of whole.split(/(?<=\r\n\r\n|\n\n)/)) {
          end += event.length;
          const id = [...event.matchAll(/^id: ?(.*?)\r?$/gm)].at(-1)?.[1];
          if (id !== undefined) expect([id, restAfter(history, id)]).toEqual([id, whole.slice(end)]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("with ids: never the bytes are the same", () => {
    fc.assert(
      fc.property(stream, cuts, (text, at) => {
        expect(textOf(recordOf(readsOf(text, at), { addsIds: false }))).toBe(text);
      }),
      { numRuns: 300 },
    );
  });
});
