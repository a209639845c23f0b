import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** The last line of a soak script, which is its verdict. */
function run(script: string, ...args: readonly string[]): Record<string, unknown> {
  const path = new URL(`../soak/${script}`, import.meta.url).pathname;
  const { stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    encoding: "utf8",
    timeout: 110_000,
  });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`${script} came to no verdict:\n${stdout}\n${stderr}`);
  return JSON.parse(last) as Record<string, unknown>;
}

test("H9: kill -9 of the instance that asks the backend loses no event, and another asks within 3 s", () => {
  const verdict = run("leader-kill.mjs", "--rounds", "3", "--rate", "1000");
  expect(verdict).toMatchObject({ isGood: true, lost: 0, duplicated: 0, gaps: 0, exits: [] });
});

test("a Redis that breaks in every way costs no client an event that it is not told of", () => {
  const verdict = run("redis-chaos.mjs", "--rounds", "10", "--rate", "200");
  expect(verdict).toMatchObject({ isGood: true, lost: 0, duplicated: 0, exits: [] });
});
