import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { attempt } from "../support/command.ts";

/** Tests the runner of `npm test` with a small suite whose tests fail on request. */

const RUNNER = new URL("../runner/run-tests.mjs", import.meta.url).href;
const SUITE = new URL("../support/runner-suite", import.meta.url).pathname;

/** Runs files of the suite; returns the exit code and the runner's own lines. */
async function runSuite(
  files: readonly string[],
  { isCi = false, ...env }: { isCi?: boolean; FLAKY?: string; LOAD_FAILS?: string } = {},
) {
  const attempts = mkdtempSync(join(tmpdir(), "sluice-runner-"));
  afterTest(() => rmSync(attempts, { recursive: true, force: true }));
  const setup = { root: SUITE, config: "vitest.config.mjs", args: files, isCi };
  const program = `import { runTests } from ${JSON.stringify(RUNNER)};
    process.exitCode = runTests(${JSON.stringify(setup)});`;
  const { code, stdout } = await attempt(process.execPath, ["--input-type=module", "-e", program], {
    env: { ATTEMPTS: attempts, FLAKY: undefined, LOAD_FAILS: undefined, CI: undefined, ...env },
  });
  const own = /^(?:flaky|failed|skipped|did not run|running again|\d+ (?:passed|files failed))\b/;
  return { code, lines: stdout.split("\n").filter((line) => own.test(line)) };
}

test("a test that fails and then passes is reported as flaky, and two flaky tests do not fail the run", async () => {
  expect(await runSuite(["steady", "flaky"], { FLAKY: "second,third" })).toEqual({
    code: 0,
    lines: [
      "running again: flaky.case.mjs",
      "running again: flaky.case.mjs",
      "skipped: passes at the fourth run",
      "flaky: passes at the second run (flaky.case.mjs)",
      "flaky: passes at the third run (flaky.case.mjs)",
      "5 passed, 0 failed, 1 skipped, 2 flaky",
    ],
  });
});

test("three flaky tests fail the run; a failing hook, or a file that does not load at first, counts as one", async () => {
  const { code, lines } = await runSuite(["flaky", "hook", "load"], { FLAKY: "second", LOAD_FAILS: "2" });
  expect(code).toBe(1);
  expect(lines.slice(-5)).toEqual([
    "flaky: passes at the second run (flaky.case.mjs)",
    "flaky: outside its tests (hook.case.mjs)",
    "flaky: outside its tests (load.case.mjs)",
    "failed: 3 flaky tests in one run",
    "4 passed, 0 failed, 2 skipped, 3 flaky",
  ]);
});

test("a test that fails three times in a row fails the run, and so does a file that never loads", async () => {
  const { code, lines } = await runSuite(["flaky", "load"], { FLAKY: "fourth", LOAD_FAILS: "3" });
  expect({ code, last: lines.at(-1) }).toEqual({ code: 1, last: "1 passed, 2 failed, 2 skipped" });
  expect(lines.filter((line) => line.startsWith("running again"))).toHaveLength(4);
});

test("an error outside any test fails the run, also beside a flaky test", async () => {
  const { code, lines } = await runSuite(["unhandled", "flaky"], { FLAKY: "second" });
  expect({ code, last: lines.at(-1) }).toEqual({ code: 1, last: "3 passed, 1 failed, 2 skipped, 1 flaky" });
});

test("a skipped test fails the run in CI; two tests of one name are two", async () => {
  expect(await runSuite(["steady", "skipped"], { isCi: true })).toEqual({
    code: 1,
    lines: [
      "skipped: left out",
      "failed: with CI=true nothing may be skipped or missing",
      "2 passed, 0 failed, 1 skipped",
    ],
  });
});

test("a run without a test is no success", async () => {
  expect(await runSuite(["no-such-file"])).toMatchObject({ code: 1 });
});
