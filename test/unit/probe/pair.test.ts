import { describe, expect, test } from "vitest";
import { cutOf, guessTimer, pairCut, timerOf } from "../../../src/probe/ending.ts";
import { compare, lagOf, pairSymptom } from "../../../src/probe/pair.ts";
import type { Reading } from "../../../src/probe/reading.ts";
import { type MadeEvent, madeReading } from "../../support/reading.ts";

/** Twenty events every 200 ms from 100 ms on, delayed by `lag`; numbered, or all equal. */
const events = (lag: (i: number) => number = () => 0, key: (i: number) => string = String): MadeEvent[] =>
  Array.from({ length: 20 }, (_, i) => ({ at: 100 + i * 200 + lag(i), key: key(i) }));
/** Arrivals of events that are held back until every fifth event. */
const inFives = (i: number): number => (4 - (i % 5)) * 200;
const inner = madeReading(events());
/** Events of which the sender itself sends five together. */
const burst = (lag: number): MadeEvent[] => events((i) => inFives(i) + lag);

describe("two hops", () => {
  test("with the same events are compared by their bytes, wherever the outer stream starts", () => {
    const outer = madeReading(events(() => 7).slice(4));
    const comparison = compare(inner, outer);
    expect(comparison.by).toBe("bytes");
    expect(lagOf(comparison)).toEqual({ medianMs: 7, worstMs: 7 });
    expect(pairSymptom(inner, outer)).toBeUndefined();
  });

  test("with different events are compared by number, counted from each request", () => {
    const outer = madeReading(
      events(
        () => 505,
        (i) => `own ${i}`,
      ),
      { sentAt: 500 },
    );
    const comparison = compare(inner, outer);
    expect(comparison.by).toBe("number");
    expect(lagOf(comparison)?.medianMs).toBe(5);
  });

  test("with different events that contain send times are compared by these times", () => {
    const own = (lag: number, clock: number, name: string) =>
      madeReading(
        Array.from({ length: 20 }, (_, i) => {
          return { at: 100 + i * 200 + lag, sent: 90 + i * 200 + clock, key: `${name} ${i}` };
        }),
      );
    const comparison = compare(own(0, 0, "inner"), own(206, 0, "outer"));
    expect([comparison.by, lagOf(comparison)?.medianMs]).toEqual(["times", 206]);
    expect(pairSymptom(own(0, 0, "inner"), own(206, 0, "outer"))).toMatchObject({
      kind: "late",
      isSure: false,
    });
    // The outer hop started later, and its events are as fast.
    expect(pairSymptom(own(0, 0, "inner"), own(900, 900, "outer"))).toBeUndefined();
  });

  test("with equal events are compared in order", () => {
    const alike = (lag: number) =>
      madeReading(
        events(
          () => lag,
          () => "tick",
        ),
      );
    expect(lagOf(compare(alike(0), alike(9)))).toEqual({ medianMs: 9, worstMs: 9 });
  });

  test.each<[string, Reading, string | undefined]>([
    ["in groups", madeReading(events(inFives)), "in-groups"],
    ["in groups, by number", madeReading(events(inFives, (i) => `own ${i}`)), "in-groups"],
    ["all at once", madeReading(events((i) => (19 - i) * 200)), "all-at-once"],
    ["each by as much", madeReading(events(() => 300)), "late"],
    [
      "each by as much, by number: two answers of a backend",
      madeReading(
        events(
          () => 300,
          (i) => `own ${i}`,
        ),
      ),
      undefined,
    ],
    ["one of them, by a pause of the network", madeReading(events((i) => (i === 7 ? 900 : 0))), undefined],
    ["each by as much, where the sender sends five together", madeReading(burst(300)), "late"],
    ["nothing at all", madeReading([]), "nothing"],
    ["no head either", madeReading([], { head: undefined as never, headAt: undefined as never }), "nothing"],
  ])("late: %s", (what, outer, kind) => {
    const sender = what.includes("five together") ? madeReading(burst(0)) : inner;
    expect(pairSymptom(sender, outer)?.kind).toBe(kind);
  });

  test("an outer stream that ended does not hold back the later events", () => {
    const cut = madeReading(events().slice(0, 5), { end: { kind: "truncated", at: 1_000 } });
    expect(pairSymptom(inner, cut)).toBeUndefined();
    expect(pairCut(inner, cut)).toMatchObject({ afterSeconds: 1, isVisible: true });
  });

  test("a head that waits for the first bytes was held back; a head that the backend sends late was not", () => {
    const waiting = { headAt: 100, firstByteAt: 100 };
    const early = madeReading(events(() => 1_500));
    const held = madeReading(
      events(() => 1_500),
      { headAt: 1_600, firstByteAt: 1_600 },
    );
    expect(pairSymptom(early, held)).toMatchObject({ kind: "head", lagMs: 1_599 });
    const late = madeReading(events(), waiting);
    expect(
      pairSymptom(
        late,
        madeReading(
          events(() => 40),
          { headAt: 700, firstByteAt: 701 },
        ),
      ),
    ).toBeUndefined();
  });
});

test("a pause of this process does not count as lag of a hop", () => {
  const pauses = { before: () => 800, within: () => 1_500 };
  expect(pairSymptom(inner, madeReading(events(() => 700)))).toMatchObject({ kind: "late" });
  expect(
    pairSymptom(
      inner,
      madeReading(
        events(() => 700),
        { pauses },
      ),
    ),
  ).toBeUndefined();
  const early = madeReading(events(() => 1_500));
  const head = { headAt: 1_600, firstByteAt: 1_600 };
  expect(
    pairSymptom(
      early,
      madeReading(
        events(() => 1_500),
        head,
      ),
    ),
  ).toMatchObject({ kind: "head" });
  expect(
    pairSymptom(
      early,
      madeReading(
        events(() => 1_500),
        { ...head, pauses },
      ),
    ),
  ).toBeUndefined();
});

describe("a stream that ends", () => {
  const ending = (kind: "complete" | "truncated" | "closed", at: number) => ({ end: { kind, at } });

  test("before the inner stream was cut, even if it looks complete", () => {
    const short = events().slice(0, 5);
    expect(pairCut(inner, madeReading(short, ending("complete", 1_000)))).toMatchObject({ isVisible: false });
    expect(pairCut(inner, madeReading(short, ending("closed", 1_000)))).toMatchObject({ isVisible: false });
  });

  test("with the inner stream, or complete as a separate response, was not cut", () => {
    const whole = madeReading(events(), ending("complete", 4_000));
    expect(pairCut(whole, madeReading(events(), ending("truncated", 4_100)))).toBeUndefined();
    const shorter = madeReading(events().slice(0, 10), ending("complete", 2_000));
    expect(pairCut(whole, shorter)).toBeUndefined();
    // More events than the inner stream had by then: a recording.
    const recording = madeReading(
      Array.from({ length: 20 }, (_, i) => ({ at: 5, key: `old ${i}` })),
      ending("complete", 6),
    );
    expect(pairCut(inner, recording)).toBeUndefined();
  });

  test("twice after the same silence was cut by a timer, and its owner can be guessed", () => {
    const cut = (last: number, end: number) => {
      const found = cutOf(madeReading([{ at: last }], ending("truncated", end)));
      if (found === undefined) throw new Error("no cut");
      return found;
    };
    expect(timerOf(cut(1_000, 61_000), cut(9_000, 69_200))).toMatchObject({ of: "silence" });
    expect(timerOf(cut(1_000, 30_000), cut(24_000, 30_300))).toMatchObject({ of: "whole" });
    expect(timerOf(cut(1_000, 10_000), cut(1_000, 20_000))).toBeUndefined();
    expect(guessTimer(cut(1_000, 61_000))).toContain("proxy_read_timeout");
    expect(guessTimer(cut(1_000, 101_000))).toContain("Cloudflare");
    expect(guessTimer(cut(28_900, 29_000))).toContain("API Gateway");
    expect(guessTimer(cut(1_000, 18_000))).toBeUndefined();
  });
});
