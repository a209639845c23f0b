import { expect, test } from "vitest";
import { attempt } from "../support/command.ts";

/** The last line of a soak script, which is its verdict. */
async function run(script: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const path = new URL(`../soak/${script}`, import.meta.url).pathname;
  const { stdout, output } = await attempt(process.execPath, [path, ...args], { timeoutMs: 280_000 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`${script} came to no verdict:\n${output}`);
  return JSON.parse(last) as Record<string, unknown>;
}

test("kill -9 of the instance that asks the backend loses no event, and another asks within 3 s", async () => {
  const verdict = await run("leader-kill.mjs", "--rounds", "3", "--rate", "1000");
  expect(verdict).toMatchObject({ rounds: 3, lost: 0, duplicated: 0, gaps: 0, exits: [] });
  // The long run requires it of 99 in 100 kills; here the machine may have stood still in one of three.
  const { p50, max } = verdict["failoverMs"] as { readonly p50: number; readonly max: number };
  expect(p50).toBeLessThanOrEqual(3000);
  expect(max).toBeLessThanOrEqual(5000);
}, 300_000);

test("no failure of Redis makes a client lose an event without a gap event", async () => {
  const verdict = await run("redis-chaos.mjs", "--rounds", "10", "--rate", "200");
  expect(verdict).toMatchObject({ isGood: true, lost: 0, duplicated: 0, exits: [] });
}, 300_000);

test("no kill of an instance or failure of Redis mixes two generations of a named answer", async () => {
  const faults = ["instanceKilled", "emptied", "flushed", "disconnected"];
  const verdict = await run("answer-chaos.mjs", "--rounds", "4", "--seed", "7", "--only", faults.join());
  expect(verdict).toMatchObject({ isGood: true, lost: 0, doubled: 0, mixed: 0, exits: [] });
  expect(verdict["resumed"]).toBeGreaterThan(0);
}, 300_000);
