import { providePrograms, reportMissing } from "./runner/programs.mjs";
import { runTests } from "./runner/run-tests.mjs";

/**
 * Runs the tests: `npm test`, or `npm test -- test/unit` for some of them.
 *
 * As root on Debian it installs the programs that the tests run and that are missing. A test that fails is run again:
 * see runTests. With CI=true nothing may be left out: a missing program or a skipped test is a failure. The last line
 * says how it went.
 */
const missing = providePrograms();
reportMissing(missing);
process.exitCode = runTests({
  root: new URL("..", import.meta.url).pathname,
  config: "test/vitest.config.ts",
  args: process.argv.slice(2),
  isCi: process.env.CI === "true",
  missing,
});
