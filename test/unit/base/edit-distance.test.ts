import { expect, test } from "vitest";
import { editDistance } from "../../../src/base/edit-distance.ts";

test.each([
  ["", "", 0],
  ["", "abc", 3],
  ["abc", "", 3],
  ["kitten", "sitting", 3],
  ["heartbeat", "hearbeat", 1],
  ["ab", "ba", 2],
  ["same", "same", 0],
])("%j and %j: %i", (a, b, steps) => {
  expect(editDistance(a, b)).toBe(steps);
});
