import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { conclude } from "./command-line.mjs";

/**
 * Runs tests with random cases, more than the suite does: `--scale 0.1` for a tenth, `--seed 2` for other cases. A
 * seed repeats its cases, except for the timing.
 */
export function fuzz(tests) {
  const { values } = parseArgs({
    options: { scale: { type: "string", default: "1" }, seed: { type: "string", default: "1" } },
  });
  const startedAt = performance.now();
  const results = tests.map(({ test, cases }) => {
    const count = Math.round(cases * Number(values.scale));
    const { status } = spawnSync("npx", ["vitest", "run", "--config", "test/vitest.config.ts", test], {
      cwd: new URL("../../..", import.meta.url),
      env: { ...process.env, FUZZ_CASES: String(count), FUZZ_SEED: values.seed },
      stdio: ["ignore", "inherit", "inherit"],
    });
    return { test, cases: count, isGood: status === 0 };
  });
  conclude({
    seed: Number(values.seed),
    results,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    isGood: results.every(({ isGood }) => isGood),
  });
}
