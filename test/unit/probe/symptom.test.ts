import { describe, expect, test } from "vitest";
import { symptomOf } from "../../../src/probe/symptom.ts";
import { type MadeEvent, madeReading } from "../../support/reading.ts";

const COMPLETE = { end: { kind: "complete", at: 9_000 } } as const;

/** `count` events sent every `gap` ms; they arrive in groups of `size`, when the last of the group is sent. */
const grouped = (count: number, gap: number, size: number): MadeEvent[] =>
  Array.from({ length: count }, (_, i) => {
    const last = Math.min(count - 1, Math.floor(i / size) * size + size - 1);
    return { at: 10 + last * gap + (i % size), sent: i * gap };
  });
const untimed = (events: readonly MadeEvent[]): MadeEvent[] => events.map(({ at }) => ({ at }));

describe("events with times in them", () => {
  test("that arrive when they are sent are prompt, whatever the sender's clock shows", () => {
    const events = grouped(20, 200, 1);
    expect(symptomOf(madeReading(events))).toBeUndefined();
    const skewed = events.map(({ at, sent = 0 }) => ({ at, sent: sent - 3_600_000 }));
    expect(symptomOf(madeReading(skewed))).toBeUndefined();
  });

  test("that arrive together and were sent separately were held back", () => {
    expect(symptomOf(madeReading(grouped(20, 200, 5)))).toMatchObject({
      kind: "in-groups",
      isSure: true,
      events: 16,
    });
    expect(symptomOf(madeReading(grouped(10, 200, 10), COMPLETE))).toMatchObject({
      kind: "all-at-once",
      isSure: true,
      events: 9,
    });
  });

  test("of which only a few arrived together once met a pause of the network", () => {
    const events = grouped(20, 200, 1).map((event, i) => (i > 8 && i < 13 ? { ...event, at: 2_600 } : event));
    expect(symptomOf(madeReading(events))).toBeUndefined();
  });

  test("that arrive together and were sent together are prompt", () => {
    const bursts = Array.from({ length: 20 }, (_, i) => {
      const at = Math.floor(i / 5) * 1_000;
      return { at: at + 10 + (i % 5), sent: at };
    });
    expect(symptomOf(madeReading(bursts))).toBeUndefined();
  });

  test("from before the request are a history, and a complete response of them is a recording", () => {
    const old = Array.from({ length: 6 }, (_, i) => ({ at: 12, sent: (i - 6) * 500 }));
    const live = grouped(10, 300, 1).map(({ at, sent = 0 }) => ({ at: at + 300, sent: sent + 300 }));
    expect(symptomOf(madeReading([...old, ...live]))).toBeUndefined();
    expect(symptomOf(madeReading(old, COMPLETE))).toMatchObject({ kind: "replayed", events: 5 });
  });

  test("that never change tell nothing", () => {
    const created = grouped(20, 100, 1).map(({ at }) => ({ at, sent: 0 }));
    expect(symptomOf(madeReading(created))).toBeUndefined();
  });

  test("of whole seconds show delays of more than one second", () => {
    const seconds = (events: readonly MadeEvent[]) => events.map((event) => ({ ...event, seconds: true }));
    expect(symptomOf(madeReading(seconds(grouped(20, 1_000, 5))))).toMatchObject({ kind: "in-groups" });
    expect(symptomOf(madeReading(seconds(grouped(20, 1_000, 1))))).toBeUndefined();
    expect(symptomOf(madeReading(seconds(grouped(20, 400, 2))))).toBeUndefined();
  });
});

describe("events without times", () => {
  test("that arrive one by one are prompt", () => {
    expect(symptomOf(madeReading(untimed(grouped(20, 200, 1))))).toBeUndefined();
  });

  test("in repeated groups after silences were perhaps held back", () => {
    expect(symptomOf(madeReading(untimed(grouped(20, 200, 5))))).toMatchObject({
      kind: "in-groups",
      isSure: false,
    });
  });

  test("in one group, or in small groups, tell nothing", () => {
    const once = [...grouped(5, 200, 5), ...grouped(20, 200, 1).map(({ at }) => ({ at: at + 2_000 }))];
    expect(symptomOf(madeReading(untimed(once)))).toBeUndefined();
    expect(symptomOf(madeReading(untimed(grouped(20, 400, 2))))).toBeUndefined();
    expect(symptomOf(madeReading(untimed(grouped(20, 20, 5))))).toBeUndefined();
  });

  test("all at once at the end of the response were perhaps held back; a history of an open stream was not", () => {
    const events = untimed(grouped(10, 200, 10));
    expect(symptomOf(madeReading(events, COMPLETE))).toMatchObject({ kind: "all-at-once", isSure: false });
    expect(symptomOf(madeReading(events))).toBeUndefined();
    const quick = events.map((_, i) => ({ at: 5 + i }));
    expect(symptomOf(madeReading(quick, COMPLETE))).toBeUndefined();
  });
});

test("events that arrived during a pause of this process were not held back", () => {
  // No read for 2.5 s, and then everything at once.
  const events = grouped(14, 250, 1).map(({ at, sent }) => ({
    at: at > 1_000 && at < 3_500 ? 3_500 : at,
    sent,
  }));
  const paused = {
    pauses: { within: () => 0, before: (at: number) => (at >= 3_490 && at <= 3_520 ? 2_500 : 0) },
  };
  expect(symptomOf(madeReading(events as MadeEvent[]))).toMatchObject({ kind: "in-groups" });
  expect(symptomOf(madeReading(events as MadeEvent[], paused))).toBeUndefined();
});

test("an event whose end arrives with the next event's start was held back by a full buffer", () => {
  const tails = Array.from({ length: 6 }, (_, i) => ({ firstAt: 10 + i * 400, at: 410 + i * 400 }));
  expect(symptomOf(madeReading(tails))).toMatchObject({ kind: "tail", isSure: true, lagMs: 400 });
  // A sender that writes an event in two parts sends the second part before the next event.
  const slow = tails.map(({ firstAt, at }) => ({ firstAt, at: at - 200 }));
  expect(symptomOf(madeReading(slow))).toBeUndefined();
});

test("several heartbeats together with a late head prove that it was held back; a late head alone does not", () => {
  const late = { headAt: 5_000, firstByteAt: 5_001 };
  const comments = [5_001, 5_001, 5_002];
  expect(symptomOf(madeReading([], { ...late, comments }))).toMatchObject({ kind: "head", isSure: true });
  expect(symptomOf(madeReading([{ at: 5_001 }], late))).toMatchObject({ kind: "head", isSure: false });
  expect(symptomOf(madeReading([{ at: 7_000 }], { headAt: 5_000, firstByteAt: 7_000 }))).toBeUndefined();
});
