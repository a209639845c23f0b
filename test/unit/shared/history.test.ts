import { expect, test } from "vitest";
import { History } from "../../../src/shared/history.ts";
import { HistoryBudget } from "../../../src/shared/history-budget.ts";
import type { StoredEvent } from "../../../src/shared/store.ts";

const stored = (seq: number, options: Partial<StoredEvent> = {}): StoredEvent => ({
  seq,
  id: `e-${seq}`,
  backendId: "",
  block: Buffer.from("data: 0123\n\n"),
  at: 0,
  ...options,
});

const BLOCK = 12;

function historyOf(count: number, bounds = {}, budget?: HistoryBudget): History {
  const history = new History({ events: 1e6, bytes: 1e9, ageMs: 1e9, ...bounds }, budget);
  history.reset({ epoch: "e", lastSeq: 0, events: [] });
  for (let seq = 1; seq <= count; seq++) history.push(stored(seq));
  return history;
}

test.each([
  ["count", { events: 3 }, 0],
  ["bytes", { bytes: 3 * BLOCK }, 0],
])("H17: is bounded by %s", (_, bounds, now) => {
  const history = historyOf(1000, bounds);
  history.trim(now);
  expect([history.firstSeq, history.lastSeq, history.bytes]).toEqual([998, 1000, 3 * BLOCK]);
});

test("H17: is bounded by age", () => {
  const history = new History({ events: 10, bytes: 1e6, ageMs: 100 });
  history.reset({ epoch: "e", lastSeq: 0, events: [] });
  for (let seq = 1; seq <= 5; seq++) history.push(stored(seq, { at: seq * 50 }));
  history.trim(260);
  expect(history.firstSeq).toBe(4);
  history.trim(1e6);
  expect(history.isEmpty).toBe(true);
  expect(history.lastId).toBe("e-5");
});

test("keeps what a client that is a little late still needs", () => {
  const history = historyOf(10, { events: 2 });
  history.trim(0, 4);
  expect(history.firstSeq).toBe(5);
});

test("finds positions by ids of ours and of backends, and by that of the event evicted last", () => {
  const history = historyOf(0, { events: 3 });
  const ids = ["e-1", "own", "e-3", "own 4", "e-5"];
  for (const [at, id] of ids.entries()) history.push(stored(at + 1, { id }));
  history.trim(0);
  expect(ids.map((id) => history.seqOf(id))).toEqual([undefined, 2, 3, 4, 5]);
  for (const id of ["e-6", "e-05", "e- 5", "f-5", "e-", "e", "", "OWN 4", "e-99999999999999999999"]) {
    expect(history.seqOf(id)).toBeUndefined();
  }
});

test("joins what follows a position into writes of bounded size, each event once", () => {
  const history = historyOf(0);
  const block = Buffer.alloc(30_000, "x");
  for (let seq = 1; seq <= 5; seq++) history.push(stored(seq, { block }));
  history.push(stored(6, { block: Buffer.alloc(100_000) }));
  const sizes: [number, number][] = [];
  for (let seq = 0; seq < 6; ) {
    const batch = history.batchAfter(seq);
    if (batch === undefined) throw new Error("nothing there");
    sizes.push([batch.events, batch.bytes.plain.length]);
    expect(history.batchAfter(seq)).toBe(batch);
    seq = batch.to;
  }
  expect(sizes).toEqual([
    [2, 60_000],
    [2, 60_000],
    [1, 30_000],
    [1, 100_000],
  ]);
  expect(history.batchAfter(6)).toBeUndefined();
});

test("counts the bytes behind a position", () => {
  const history = historyOf(600, { events: 300 });
  expect(history.bytesAfter(600)).toBe(0);
  expect(history.bytesAfter(598)).toBe(2 * BLOCK);
  history.trim(0);
  expect(history.bytesAfter(300)).toBe(300 * BLOCK);
  expect(history.bytesAfter(299)).toBe(Number.POSITIVE_INFINITY);
  expect(history.bytesAfter(301)).toBe(299 * BLOCK);
});

test("another record's events take the place of its own, and its ids find nothing", () => {
  const history = historyOf(5);
  history.reset({ epoch: "f", lastSeq: 9, events: [stored(8, { id: "f-8" }), stored(9, { id: "f-9" })] });
  expect([history.firstSeq, history.lastSeq]).toEqual([8, 9]);
  expect(history.seqOf("e-5")).toBeUndefined();
  expect(history.seqOf("f-8")).toBe(8);
  expect(history.seqOf("f-7")).toBe(7);
});

test("H17: all of them together are bounded; the one used longest ago gives way first", () => {
  const block = Buffer.alloc(8_000, "x");
  const push = (history: History, count: number) => {
    for (let seq = 1; seq <= count; seq++) history.push(stored(seq, { block }));
    return history;
  };
  const memoryOf = (count: number) => push(historyOf(0), count).heldBytes;
  const budget = new HistoryBudget(memoryOf(4) + memoryOf(6));
  const [a, b, c] = [
    push(historyOf(0, {}, budget), 4),
    push(historyOf(0, {}, budget), 4),
    historyOf(0, {}, budget),
  ];
  a.touch();
  push(c, 6);
  expect([a, b, c].map(({ bytes }) => bytes / block.length)).toEqual([4, 0, 6]);
  expect(budget.bytes).toBe(memoryOf(4) + memoryOf(6));
  a.close();
  expect(budget.bytes).toBe(memoryOf(6));
  budget.limitBytes = memoryOf(2);
  expect(c.bytes).toBe(2 * block.length);
  c.close();
  expect(budget.bytes).toBe(0);
});
