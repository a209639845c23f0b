import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/sluice-process.ts";

const MIB = 1024 * 1024;

/** A load that makes new space grow to its limit: objects that live for a while. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from "node:v8";
  process.argv = [process.argv[0], "sluice", "--version"];
  await import(${JSON.stringify(join(ROOT, "dist/cli/program.js"))});
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

test("the command limits V8's new space to 8 MiB", () => {
  // The V8 of Node 24 takes some pages more; a collection with few live objects may halve the space.
  expect(newSpaceOf()).toBeLessThanOrEqual(10);
});

test("a size chosen by the user takes precedence", () => {
  expect(newSpaceOf("--max-semi-space-size=8")).toBe(16);
});
