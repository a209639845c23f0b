import { expect, test } from "vitest";
import { attempt } from "../support/command.ts";

/** A part of `npm run soak -- matrix`; a busy machine runs fewer rounds. */
const CONNECTIONS = 5_000;
const OF_ROUND = 1_250;
const MOST_SECONDS = 50;

test("faults on each side of every kind of connection end no process, and every request is accounted for", async () => {
  const program = new URL("../soak/matrix.mjs", import.meta.url).pathname;
  const args = ["--connections", CONNECTIONS, "--round", OF_ROUND, "--seconds", MOST_SECONDS].map(String);
  const { stdout, output } = await attempt(process.execPath, [program, ...args], { timeoutMs: 280_000 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`the matrix came to no verdict:\n${output}`);
  const verdict = JSON.parse(last) as { connections: number; violations: readonly { what: string }[] };
  // Rare findings of the long run, such as a connection or a lease of a disconnected client, are left to that run; a
  // process that ends or hangs, a fault in the log, and a missing line or count fail this test.
  const violations = verdict.violations.filter(({ what }) =>
    /^(?:life|log|lines|metrics|inside):/.test(what),
  );
  // With the commands that repeat the cases.
  if (violations.length > 0) throw new Error(output);
  expect(verdict.connections).toBeGreaterThanOrEqual(OF_ROUND);
}, 300_000);
