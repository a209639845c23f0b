import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { youngGenerationOptions } from "../../src/process/internals/young-generation.ts";

const GROWTH = new URL("../support/history-growth.mjs", import.meta.url).pathname;

interface Growth {
  /** Bytes that the budget of `limits.historyBytes` has counted. */
  readonly counted: number;
  /** Bytes of the event blocks. */
  readonly payload: number;
  /** Growth in bytes of the heap and of the memory outside of it, after garbage collections. */
  readonly used: number;
  /** Growth in bytes of the process. */
  readonly rss: number;
}

const MIB = 1024 ** 2;

/** Uses the gateway's size of the young generation: its default growth does not belong to histories. */
const grow = async (...shape: readonly (string | number)[]): Promise<Growth> => {
  const args = [...youngGenerationOptions(), "--expose-gc", GROWTH, ...shape.map(String)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Growth;
};

/** Bytes that the garbage collector and the allocator may keep or give back, independent of the histories. */
const OF_THE_PROCESS = 32 * MIB;

test.each([
  ["1,000 streams of 1,000 tokens", 1_000, 1_000, 45, "own"],
  ["1,000 streams of 1,000 tokens with ids of the backend's", 1_000, 1_000, 60, "backend"],
  ["5,000 streams of 20 tokens", 5_000, 20, 30, "own"],
  ["5,000 streams of one event", 5_000, 1, 45, "backend"],
  ["one stream of 300,000 tokens", 1, 300_000, 45, "own"],
  ["events of 1 KB", 200, 500, 1_024, "backend"],
  ["events of 5 KB", 100, 300, 5_000, "own"],
  ["events of 16 KB", 50, 200, 16_384, "backend"],
])("the counted bytes are the growth of the process: %s", async (_, ...shape) => {
  const growth = await grow(...shape);
  const { counted, payload, used, rss } = growth;
  const about = JSON.stringify(growth);
  expect(counted).toBeGreaterThan(payload);
  expect(counted / used, about).toBeGreaterThan(0.75);
  expect(counted / used, about).toBeLessThan(1.25);
  expect(rss, about).toBeLessThan(counted * 1.25 + OF_THE_PROCESS);
});

test("a token takes less than twice its bytes", async () => {
  const { payload, used } = await grow(500, 1_000, 45, "own");
  expect(used / payload).toBeLessThan(2);
});
