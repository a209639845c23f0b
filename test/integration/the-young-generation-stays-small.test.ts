import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/sluice-process.ts";

const MIB = 1024 * 1024;

/** What makes new space grow as far as it may: objects that are in use for a while. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from "node:v8";
  process.argv = [process.argv[0], "sluice", "--version"];
  await import(${JSON.stringify(join(ROOT, "dist/cli/main.js"))});
  const kept = [];
  for (let i = 0; i < 2_000_000; i++) {
    kept.push({ i, list: [i] });
    if (kept.length > 60_000) kept.length = 0;
  }
  const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  console.log(space_size);
`;

function newSpaceOf(...flags: readonly string[]): number {
  const args = [...flags, "--input-type=module", "--eval", PROGRAM];
  const output = execFileSync(process.execPath, args, { encoding: "utf8" });
  return Number(output.trim().split("\n").at(-1)) / MIB;
}

test("the command keeps V8's space for new objects to 8 MiB", () => {
  // A collection that finds little in it may halve it.
  expect(newSpaceOf()).toBeLessThanOrEqual(8);
});

test("unless its user has chosen another size", () => {
  expect(newSpaceOf("--max-semi-space-size=8")).toBe(16);
});
