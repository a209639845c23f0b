import { execFileSync } from "node:child_process";
import { getHeapSpaceStatistics } from "node:v8";
import { expect, test } from "vitest";
import { youngGenerationOptions } from "../../../../src/process/internals/young-generation.ts";

const MIB = 2 ** 20;

/** 8 MiB, and some pages more with the V8 of Node 24. A collection that finds few live objects may halve the space. */
const MOST_MIB = 10;

/** Returns the size of new space, in MiB, after a load that lets it grow; `first` runs before. */
function newSpaceAfter(first: string, ...flags: readonly string[]): number {
  const program = `
    const v8 = require("node:v8");
    const size = () => v8.getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size;
    ${first}
    const kept = [];
    for (let i = 0; i < 2_000_000; i++) {
      kept.push({ i, list: [i] });
      if (kept.length > 60_000) kept.length = 0;
    }
    console.log(size());`;
  const output = execFileSync(process.execPath, [...flags, "--eval", program], { env: {}, encoding: "utf8" });
  return Number(output) / MIB;
}

const KEEP_SMALL = `
  const arrays = [];
  while (size() < 8 * 2 ** 20 && arrays.length < 1_000) arrays.push(new Array(2_048).fill(0));
  v8.setFlagsFromString("--semi-space-growth-factor=1");`;

test("V8 has a space called new_space", () => {
  expect(getHeapSpaceStatistics().map(({ space_name: name }) => name)).toContain("new_space");
});

test("control: new space grows under load", () => {
  expect(newSpaceAfter("")).toBeGreaterThan(MOST_MIB);
});

test("new space stops growing once the flag is set, while the process runs", () => {
  expect(newSpaceAfter(KEEP_SMALL)).toBeLessThanOrEqual(MOST_MIB);
});

test("the option has the same effect on a new process", () => {
  expect(newSpaceAfter("", ...youngGenerationOptions())).toBeLessThanOrEqual(MOST_MIB);
});

/** V8 shrinks the space some 8 s after the last full collection; that of Node 24 in such a collection after a silence. */
const IDLE = `
  import { setTimeout as sleep } from "node:timers/promises";
  import { getHeapSpaceStatistics } from "node:v8";
  import { keepYoungGenerationSmall, regrowYoungGeneration } from "MODULE";
  const size = () =>
    getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size / 2 ** 20;
  keepYoungGenerationSmall();
  const sizes = [size()];
  gc();
  const begun = Date.now();
  while (size() >= 8 && Date.now() - begun < 30_000) {
    await sleep(500);
    if (Date.now() - begun > 12_000) gc();
  }
  sizes.push(size());
  for (let i = 0; i < 1_000; i++) regrowYoungGeneration();
  sizes.push(size());
  console.log(JSON.stringify(sizes));`;

test("requests bring the space back to its size after an idle time, in which V8 shrinks it", () => {
  const module = new URL("../../../../dist/process/internals/young-generation.js", import.meta.url).href;
  const args = ["--expose-gc", "--input-type=module", "--eval", IDLE.replace("MODULE", module)];
  const output = execFileSync(process.execPath, args, { env: {}, encoding: "utf8" });
  const [kept = 0, idle = 0, regrown = 0] = JSON.parse(output) as number[];
  expect(kept).toBeGreaterThanOrEqual(8);
  expect(idle).toBeLessThan(8);
  expect(regrown).toBeGreaterThanOrEqual(8);
  expect(regrown).toBeLessThanOrEqual(MOST_MIB);
});
