import { spawnSync } from "node:child_process";
import { conclude, readScale } from "./parts/command-line.mjs";

/**
 * Tests the switch from replay to live events in a million interleavings of 20 to 120 steps: clients join, stall,
 * disconnect and reconnect at any byte while events are added and removed. The cases are those of the test of the
 * same name; HAND_OVER_SEED repeats them.
 */
const interleavings = Math.round(1_000_000 * readScale());
const seed = Number(process.env["HAND_OVER_SEED"] ?? Date.now() % 2 ** 31);
const startedAt = performance.now();
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "--config", "test/vitest.config.ts", "test/unit/shared/replay-meets-live.test.ts"],
  {
    cwd: new URL("../..", import.meta.url),
    env: { ...process.env, HAND_OVER_CASES: String(interleavings), HAND_OVER_SEED: String(seed) },
    stdio: "inherit",
  },
);
const seconds = Math.round((performance.now() - startedAt) / 1000);
conclude({ isGood: status === 0, interleavings, seed, seconds });
