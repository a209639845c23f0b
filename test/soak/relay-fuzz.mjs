import { spawnSync } from "node:child_process";

/**
 * Relays a million made-up streams: any framing, cut anywhere, heartbeats at any time, slow clients, aborts at any
 * byte. The bytes have to be the same; the cases are those of the test of the same name, and a seed repeats them.
 *
 *   node test/soak/relay-fuzz.mjs [cases] [seed]
 */
const [cases = "1000000", seed = "1"] = process.argv.slice(2);
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "--config", "test/vitest.config.ts", "test/unit/stream/any-stream-in-any-way.test.ts"],
  {
    cwd: new URL("../..", import.meta.url),
    env: { ...process.env, FUZZ_CASES: cases, FUZZ_SEED: seed },
    stdio: "inherit",
  },
);
process.exitCode = status ?? 1;
