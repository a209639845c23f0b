import { expect, test } from "vitest";
import { attempt } from "../support/command.ts";

/** A part of `npm run soak -- matrix`; a busy machine runs fewer rounds. */
const CONNECTIONS = 5_000;
const OF_ROUND = 1_250;
const MOST_SECONDS = 50;

test("connections of every kind, with faults on each side, end no process, leave nothing behind and no request unaccounted", async () => {
  const program = new URL("../soak/matrix.mjs", import.meta.url).pathname;
  const args = ["--connections", CONNECTIONS, "--round", OF_ROUND, "--seconds", MOST_SECONDS].map(String);
  const { stdout, output } = await attempt(process.execPath, [program, ...args], { timeoutMs: 280_000 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`the matrix came to no verdict:\n${output}`);
  const verdict = JSON.parse(last) as { connections: number; violations: readonly { what: string }[] };
  // With the commands that run the cases again.
  if (verdict.violations.length > 0) throw new Error(output);
  expect(verdict.connections).toBeGreaterThanOrEqual(OF_ROUND);
}, 300_000);
