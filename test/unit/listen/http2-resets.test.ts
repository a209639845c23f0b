import { expect, test } from "vitest";
import { Http2Resets } from "../../../src/listen/http2-resets.ts";

/** Returns which resets reach the bound, each of a stream that was opened 1 ms before. */
const reached = (resets: Http2Resets, times: readonly number[]): boolean[] =>
  times.map((ms) => resets.isTooMany(ms - 1, ms));

test("the first window begins with the first reset, not with the process", () => {
  expect(reached(new Http2Resets(4), [9_998, 9_999, 10_001, 10_002])).toEqual([false, false, false, true]);
});

test("a window lasts ten seconds", () => {
  expect(reached(new Http2Resets(3), [5, 6, 10_006, 10_007, 10_008])).toEqual([
    false,
    false,
    false,
    false,
    true,
  ]);
});

test("a stream older than a second does not count", () => {
  const resets = new Http2Resets(1);
  expect(resets.isTooMany(0, 1_001)).toBe(false);
  expect(resets.isTooMany(0, 1_000)).toBe(true);
});
