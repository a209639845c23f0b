import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "../../../src/redis/entry.ts";
import { ReplicaCursor } from "../../../src/redis/replica-cursor.ts";
import type { StoredEvent } from "../../../src/shared/store.ts";

const event = (seq: number, id = `e${seq}`): StoredEvent => ({
  seq,
  id,
  backendId: id,
  at: 0,
  block: Buffer.from(`data: ${id}\n\n`),
});
const entry = (token: number, seq: number, id?: string): Entry => ({
  position: { token, seq },
  event: event(seq, id),
});
const nothingHeld = () => undefined;

test("the result is next for the next entry, known for an old one, and other after a gap", () => {
  const cursor = new ReplicaCursor();
  expect(cursor.take(entry(5, 1), nothingHeld)).toBe("next");
  expect(cursor.take(entry(5, 2), nothingHeld)).toBe("next");
  expect(cursor.take(entry(5, 2), nothingHeld)).toBe("known");
  expect(cursor.take(entry(5, 4), nothingHeld)).toBe("other");
  expect(cursor.take(entry(7, 3), nothingHeld)).toBe("next");
  expect(cursor.take(entry(5, 4), nothingHeld)).toBe("known");
  expect(cursor.accepted).toEqual({ token: 7, seq: 3 });
});

test("an unreadable entry is a gap", () => {
  const cursor = new ReplicaCursor();
  expect(cursor.take({ position: { token: 5, seq: 1 }, event: undefined }, nothingHeld)).toBe("other");
});

test("a record whose entries count from 0, which no version writes, causes no endless loop", () => {
  const cursor = new ReplicaCursor();
  cursor.reset([entry(5, 0), entry(6, 0)]);
  expect(cursor.deliveredSeq).toBe(0);
  expect(cursor.take(entry(7, 1), nothingHeld)).toBe("next");
});

test("a later leader's entry at the position of a delivered event is known if the ids are equal, otherwise other", () => {
  const cursor = new ReplicaCursor();
  cursor.reset([entry(5, 1), entry(5, 2), entry(5, 3)]);
  const held = (seq: number) => event(seq);
  expect(cursor.take(entry(6, 2), held)).toBe("known");
  expect(cursor.take(entry(6, 3, "another"), held)).toBe("other");
  expect(cursor.deliveredSeq).toBe(3);
});

test("when another leader fills an emptied Redis again, the channel continues where it was", () => {
  const cursor = new ReplicaCursor();
  const held = (seq: number) => (seq > 2 && seq <= 6 ? event(seq) : undefined);
  const filledFrom = (seq: number, id?: string) => {
    cursor.reset([1, 2, 3, 4, 5, 6].map((at) => entry(5, at)));
    cursor.rewind({ token: 0, seq: 0 });
    return cursor.take(entry(7, seq, id), held);
  };
  expect(filledFrom(4)).toBe("known");
  expect(cursor.take(entry(7, 6), held)).toBe("other");
  expect(cursor.take(entry(7, 5), held)).toBe("known");
  expect(cursor.take(entry(7, 6), held)).toBe("known");
  expect(cursor.take(entry(7, 7), held)).toBe("next");
  expect(filledFrom(7)).toBe("next");
  // An event other than the delivered one, an event no longer held, and an event after a gap.
  expect([filledFrom(4, "another"), filledFrom(2), filledFrom(8)]).toEqual(["other", "other", "other"]);
});

test("events that Redis lost are written again under the token of their first leader", () => {
  const cursor = new ReplicaCursor();
  cursor.reset([entry(5, 1), entry(5, 2), entry(6, 3), entry(6, 4), entry(9, 5)]);
  cursor.deliveredSeq = 7;
  const tokens = () => [1, 2, 3, 4, 5, 6, 7].map((seq) => cursor.tokenOf(seq, 12));
  expect(tokens()).toEqual([5, 5, 6, 6, 9, 12, 12]);
  cursor.rewind({ token: 5, seq: 2 });
  expect(tokens()).toEqual([5, 5, 6, 6, 9, 12, 12]);
  for (const seq of [3, 4, 5, 6, 7]) cursor.accept({ token: cursor.tokenOf(seq, 12), seq });
  expect(tokens()).toEqual([5, 5, 6, 6, 9, 12, 12]);
  expect(cursor.accepted).toEqual({ token: 12, seq: 7 });
});

test("a position is known only with the token of the leader that wrote its event", () => {
  const cursor = new ReplicaCursor();
  cursor.reset([entry(5, 1), entry(6, 2)]);
  const knows = (token: number, seq: number) => cursor.knows({ token, seq }, 8, 3);
  expect([knows(0, 0), knows(5, 1), knows(6, 2), knows(8, 3)]).toEqual([true, true, true, true]);
  expect([knows(6, 1), knows(5, 2), knows(7, 3), knows(8, 4)]).toEqual([false, false, false, false]);
});

test("property: with entries in any order, no event is delivered twice or missed unnoticed", () => {
  const steps = fc.array(
    fc.record({ token: fc.integer({ min: 1, max: 3 }), seq: fc.integer({ min: 1, max: 8 }) }),
    {
      maxLength: 40,
    },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const cursor = new ReplicaCursor();
      const delivered: StoredEvent[] = [];
      for (const { token, seq } of taken) {
        // Two leaders disagree about every third event.
        const id = seq % 3 === 0 ? `e${seq}-${token}` : `e${seq}`;
        const verdict = cursor.take(entry(token, seq, id), (at) => delivered[at - 1]);
        if (verdict === "next") delivered.push(event(seq, id));
        if (verdict === "other") break;
      }
      expect(delivered.map(({ seq }) => seq)).toEqual(delivered.map((_, at) => at + 1));
      expect(cursor.deliveredSeq).toBe(delivered.length);
    }),
    { numRuns: 10_000 },
  );
});
