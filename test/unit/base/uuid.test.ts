import { expect, test } from "vitest";
import { randomUuid } from "../../../src/base/uuid.ts";

const COUNT = 10_000;

test("UUIDs are of version 4, and no two are the same", () => {
  const all = new Set(Array.from({ length: COUNT }, randomUuid));
  expect(all.size).toBe(COUNT);
  for (const id of all)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("each digit that is not fixed takes each value", () => {
  const seen = Array.from({ length: 36 }, () => new Set<string>());
  for (let n = 0; n < COUNT; n++) for (const [at, digit] of [...randomUuid()].entries()) seen[at]?.add(digit);
  const counts = seen.map(({ size }) => size);
  const expected = Array.from({ length: 36 }, (_, at) =>
    [8, 13, 14, 18, 23].includes(at) ? 1 : at === 19 ? 4 : 16,
  );
  expect(counts).toEqual(expected);
});
