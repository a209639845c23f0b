import { execFileSync } from "node:child_process";
import { getHeapSpaceStatistics } from "node:v8";
import { expect, test } from "vitest";
import { heapUse, oldLimitBytes } from "../../../../src/process/internals/heap-use.ts";
import { youngGenerationOptions } from "../../../../src/process/internals/young-generation.ts";

const MIB = 2 ** 20;
const LIMIT = 'require("node:v8").getHeapStatistics().heap_size_limit';

const evaluated = (...args: readonly string[]): number =>
  Number(execFileSync(process.execPath, [...args, "--print"].concat(LIMIT), { env: {} }));

test("V8's spaces for young objects have names that begin with new, and the others have not", () => {
  const names = getHeapSpaceStatistics().map(({ space_name: name }) => name);
  expect(names.filter((name) => name.startsWith("new"))).toEqual(["new_space", "new_large_object_space"]);
  expect(names).toContain("old_space");
});

test("without a flag, 97 % of the reported limit is the limit of the old spaces within 3 %", () => {
  const reported = evaluated();
  const young = evaluated("--max-old-space-size=1024") - 1024 * MIB;
  expect(reported * 0.97).toBeGreaterThan(0.97 * (reported - young));
  expect(reported * 0.97).toBeLessThan(1.03 * (reported - young));
});

test("the use of this process's heap is a part of the limit", () => {
  expect(oldLimitBytes()).toBeGreaterThan(16 * MIB);
  expect(heapUse()).toBeGreaterThan(0);
  expect(heapUse()).toBeLessThan(1);
});

test("long-lived objects count against the limit of the flag, and end the process when they reach it", () => {
  // The process reports what the old spaces hold each time that it has added 4 MiB. The young generation is as small as
  // sluice keeps it: V8 ends a process when the old spaces have no room for the young objects that survive.
  const program = `
    const { getHeapSpaceStatistics } = require("node:v8");
    const kept = [];
    for (;;) {
      kept.push(Array.from({ length: 131072 }, (_, at) => ({ at })));
      let used = 0;
      for (const { space_name, space_used_size } of getHeapSpaceStatistics())
        if (!space_name.startsWith("new")) used += space_used_size;
      require("node:fs").writeSync(1, used + "\\n");
    }`;
  let output = "";
  try {
    execFileSync(
      process.execPath,
      ["--max-old-space-size=64", ...youngGenerationOptions(), "--eval", program],
      {
        env: {},
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
  } catch (error) {
    output = String((error as { stdout: Buffer }).stdout);
  }
  const last = Number(output.trim().split("\n").at(-1));
  expect(last).toBeGreaterThan(0.8 * 64 * MIB);
  expect(last).toBeLessThan(1.15 * 64 * MIB);
});
