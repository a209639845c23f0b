import fc from "fast-check";
import { expect, test } from "vitest";
import { History } from "../../../src/shared/history.ts";
import { HistoryBudget } from "../../../src/shared/history-budget.ts";
import type { HistoryBounds, StoredEvent } from "../../../src/shared/store.ts";

const stored = (seq: number, options: Partial<StoredEvent> = {}): StoredEvent => ({
  seq,
  id: `e-${seq}`,
  backendId: "",
  block: Buffer.from("data: 0123\n\n"),
  at: 0,
  ...options,
});

const BLOCK = 12;

/** The bytes of all blocks that a history holds. */
const bytesOf = (history: History): number => history.bytesAfter(history.firstSeq - 1);

function historyOf(count: number, bounds = {}, budget?: HistoryBudget): History {
  const history = new History({ events: 1e6, bytes: 1e9, ageMs: 1e9, ...bounds }, budget);
  history.reset({ epoch: "e", lastSeq: 0, events: [] });
  for (let seq = 1; seq <= count; seq++) history.push(stored(seq));
  return history;
}

test.each([
  ["count", { events: 3 }, 0],
  ["bytes", { bytes: 3 * BLOCK }, 0],
])("is bounded by %s", (_, bounds, now) => {
  const history = historyOf(1000, bounds);
  history.trim(now);
  expect([history.firstSeq, history.lastSeq, bytesOf(history)]).toEqual([998, 1000, 3 * BLOCK]);
});

test("is bounded by age", () => {
  const history = new History({ events: 10, bytes: 1e6, ageMs: 100 });
  history.reset({ epoch: "e", lastSeq: 0, events: [] });
  for (let seq = 1; seq <= 5; seq++) history.push(stored(seq, { at: seq * 50 }));
  history.trim(260);
  expect(history.firstSeq).toBe(4);
  history.trim(1e6);
  expect(history.isEmpty).toBe(true);
  expect(history.lastId).toBe("e-5");
});

test("keeps the events that a client still needs if it is a little behind", () => {
  const history = historyOf(10, { events: 2 });
  history.trim(0, 4);
  expect(history.firstSeq).toBe(5);
});

test("finds positions by made ids, by ids of backends, and by the id of the newest evicted event", () => {
  const history = historyOf(0, { events: 3 });
  const ids = ["e-1", "own", "e-3", "own 4", "e-5"];
  for (const [at, id] of ids.entries()) history.push(stored(at + 1, { id }));
  history.trim(0);
  expect(ids.map((id) => history.seqOf(id))).toEqual([undefined, 2, 3, 4, 5]);
  for (const id of ["e-6", "e-05", "e- 5", "f-5", "e-", "e", "", "OWN 4", "e-99999999999999999999"]) {
    expect(history.seqOf(id)).toBeUndefined();
  }
});

test("joins the events behind a position into batches of bounded size, each event once", () => {
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

test("another record's events replace its own, and its old ids find nothing", () => {
  const history = historyOf(5);
  history.reset({ epoch: "f", lastSeq: 9, events: [stored(8, { id: "f-8" }), stored(9, { id: "f-9" })] });
  expect([history.firstSeq, history.lastSeq]).toEqual([8, 9]);
  expect(history.seqOf("e-5")).toBeUndefined();
  expect(history.seqOf("f-8")).toBe(8);
  expect(history.seqOf("f-7")).toBe(7);
});

test("all histories together are bounded; the least recently used one is evicted from first", () => {
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
  expect([a, b, c].map((history) => bytesOf(history) / block.length)).toEqual([4, 0, 6]);
  expect(budget.bytes).toBe(memoryOf(4) + memoryOf(6));
  a.close();
  expect(budget.bytes).toBe(memoryOf(6));
  budget.limitBytes = memoryOf(2);
  expect(bytesOf(c)).toBe(2 * block.length);
  c.close();
  expect(budget.bytes).toBe(0);
});

/** The same in the plainest way: a list of events. */
class Model {
  events: StoredEvent[] = [];
  lastSeq = 0;
  evictedId: string | undefined;

  push(event: StoredEvent): void {
    this.events.push(event);
    this.lastSeq = event.seq;
  }

  trim(now: number, needed: number, { events, bytes, ageMs }: HistoryBounds): void {
    const held = () => this.events.reduce((sum, { block }) => sum + block.length, 0);
    for (let oldest = this.events[0]; oldest !== undefined; oldest = this.events[0]) {
      const isOver = this.events.length > events || held() > bytes;
      if (oldest.seq > needed || (!isOver && oldest.at >= now - ageMs)) return;
      this.evictedId = oldest.id;
      this.events.shift();
    }
  }

  seqOf(id: string): number | undefined {
    const own = this.events.findLast((event) => event.id === id && id !== `e-${event.seq}`);
    if (own !== undefined) return own.seq;
    const oldest = this.lastSeq - this.events.length;
    if (id === this.evictedId) return oldest;
    const made = /^e-(0|[1-9]\d*)$/.exec(id);
    const seq = Number(made?.[1]);
    return made !== null && seq >= oldest && seq <= this.lastSeq ? seq : undefined;
  }
}

/** Comparing bytes one by one would take most of the time. */
const plain = ({ block, ...rest }: StoredEvent) => ({ ...rest, block: block.toString("latin1") });

const bounds: HistoryBounds = { events: 40, bytes: 60_000, ageMs: 50 };
const pushed = fc.record({
  size: fc.oneof(
    fc.integer({ min: 1, max: 80 }),
    fc.integer({ min: 1, max: 5_000 }),
    fc.constantFrom(1_024, 4_096, 4_097, 70_000),
  ),
  id: fc.option(fc.constantFrom("a", "b", "e-3", "e-0", "other"), { freq: 3 }),
  backendId: fc.constantFrom("", "a", "last"),
  elapsedMs: fc.integer({ min: 0, max: 10 }),
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: fc.array(pushed, { maxLength: 12 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ trim: fc.integer({ min: 0, max: 60 }), needed: fc.integer({ min: 0, max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ shed: fc.integer({ min: 1, max: 5_000 }) }) },
);

test("property: pages hold the same events as a list, and all counted bytes are freed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const budget = new HistoryBudget(Number.POSITIVE_INFINITY);
      const history = new History(bounds, budget);
      history.reset({ epoch: "e", lastSeq: 0, events: [] });
      const model = new Model();
      let now = 1_000;
      for (const action of steps) {
        if ("push" in action) {
          for (const { size, id, backendId, elapsedMs } of action.push) {
            now += elapsedMs;
            const seq = model.lastSeq + 1;
            const block = Buffer.alloc(size, `${seq} `);
            const event = { seq, id: id ?? `e-${seq}`, backendId, block, at: now };
            history.push(event);
            model.push(event);
          }
        } else if ("trim" in action) {
          const needed = action.needed > 50 ? Number.POSITIVE_INFINITY : action.needed;
          history.trim(now + action.trim, needed);
          model.trim(now + action.trim, needed, bounds);
        } else {
          const before = history.heldBytes;
          history.shed(action.shed);
          expect(history.isEmpty || history.heldBytes <= before - action.shed).toBe(true);
          while (model.lastSeq - model.events.length < history.firstSeq - 1)
            model.evictedId = model.events.shift()?.id;
        }
        expect(history.after(0).map(plain)).toEqual(model.events.map(plain));
        expect([history.firstSeq, history.lastSeq]).toEqual([
          model.lastSeq - model.events.length + 1,
          model.lastSeq,
        ]);
        expect(bytesOf(history)).toBe(model.events.reduce((sum, { block }) => sum + block.length, 0));
        expect(budget.bytes).toBe(history.heldBytes);
        for (const id of ["a", "b", "other", "e-0", "e-3", "e-7", `e-${model.lastSeq}`])
          expect(history.seqOf(id), id).toBe(model.seqOf(id));
        for (let seq = history.firstSeq - 1; seq < history.lastSeq; seq++) {
          const behind = model.events.filter((event) => event.seq > seq);
          expect(history.bytesAfter(seq)).toBe(behind.reduce((sum, { block }) => sum + block.length, 0));
          const batch = history.batchAfter(seq);
          const taken = behind.slice(0, batch?.events);
          expect(batch?.to).toBe(taken.at(-1)?.seq);
          expect(batch?.bytes.plain.equals(Buffer.concat(taken.map(({ block }) => block)))).toBe(true);
          expect(taken.length === 1 || (batch?.bytes.plain.length ?? 0) <= 65_536).toBe(true);
        }
        history.releaseBatches();
      }
      history.close();
      expect(budget.bytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});
