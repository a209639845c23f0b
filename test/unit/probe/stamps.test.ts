import { expect, test } from "vitest";
import { findStamps } from "../../../src/probe/stamps.ts";

const NOW = Date.parse("2026-11-29T12:00:00.500Z");

test.each([
  ['data: {"i":1,"t":1795953600500}', [["t", 0, 1]]],
  ['data: {"at":1795953600}', [["at", -500, 1000]]],
  ['data: {"at": 1795953600.25}', [["at", -250, 1]]],
  ['data: {"time":"2026-11-29T12:00:00.400Z"}', [["time", -100, 1]]],
  ["data: 2026-11-29T12:00:00.1234567Z", [["data", -377, 1]]],
  ["data: 2026-11-29 14:00:00+02:00", [["data", -500, 1000]]],
  ["id: 1795953600500-0\ndata: x", [["id", 0, 1]]],
  ["ts=1795953600500", [["ts", 0, 1]]],
  // Numbers that are not times: too long, of another year, parts of other numbers.
  ['data: {"n":17959536005001,"old":1495953600500,"x":"1795953600500abc1"}', []],
  ["data: 3.1795953600500", []],
  ["data: plain", []],
  ["data: at 2026-11-29T12:00:00Z", [["#0", -500, 1000]]],
])("the times in %j", (text, expected) => {
  const stamps = findStamps(text, NOW);
  expect(stamps.map(({ label, ms, resolution }) => [label, Math.round(ms - NOW), resolution])).toEqual(
    expected,
  );
});

test("a long text of digits is read quickly", () => {
  const begin = process.cpuUsage();
  for (const text of ["1".repeat(1_000_000), "a=".repeat(500_000), "1795953600 ".repeat(90_000)])
    findStamps(text, NOW);
  const { user } = process.cpuUsage(begin);
  expect(user / 1_000).toBeLessThan(500);
});
