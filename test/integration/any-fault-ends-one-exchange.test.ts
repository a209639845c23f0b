import { expect, test } from "vitest";
import { attempt } from "../support/command.ts";

/** A share of what `npm run soak -- matrix` does; a machine that is short of time gets through fewer rounds. */
const CONNECTIONS = 5_000;
const OF_ROUND = 1_250;
const MOST_SECONDS = 50;

test("connections of every kind, with faults on each side, end no process and leave no request unaccounted", async () => {
  const program = new URL("../soak/matrix.mjs", import.meta.url).pathname;
  const args = ["--connections", CONNECTIONS, "--round", OF_ROUND, "--seconds", MOST_SECONDS].map(String);
  const { stdout, output } = await attempt(process.execPath, [program, ...args], { timeoutMs: 280_000 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`the matrix came to no verdict:\n${output}`);
  const verdict = JSON.parse(last) as { connections: number; violations: readonly { what: string }[] };
  // What the long run still finds now and then, a connection or a lease of a client that is gone, is its to tell; a
  // process that ends or hangs, a fault in the log, and a line or a count that is missing are no fault of the moment.
  const violations = verdict.violations.filter(({ what }) =>
    /^(?:life|log|lines|metrics|inside):/.test(what),
  );
  // With the commands that run the cases again.
  if (violations.length > 0) throw new Error(output);
  expect(verdict.connections).toBeGreaterThanOrEqual(OF_ROUND);
}, 300_000);
