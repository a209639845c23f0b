import { describe, expect, test } from "vitest";
import { attempt } from "./attempts.mjs";

const FAILS = (process.env.FLAKY ?? "").split(",");

describe("passes", () => {
  test("at once", () => expect(1).toBe(1));
});
for (const [name, passesAt] of [
  ["second", 2],
  ["third", 3],
  ["fourth", 4],
]) {
  test.runIf(FAILS.includes(name))(`passes at the ${name} run`, () => {
    expect(attempt(name)).toBeGreaterThanOrEqual(passesAt);
  });
}
