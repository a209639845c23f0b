import { providePrograms, reportMissing } from "./runner/programs.mjs";
import { runTests } from "./runner/run-tests.mjs";

/**
 * Runs the tests: `npm test`, or `npm test -- test/unit` for some of them; `npm run test:quick` for those that need no
 * other program and little time.
 *
 * As root on Debian it installs the programs that the tests run and that are missing. A test that fails is run again:
 * see runTests. With CI=true nothing may be left out: a missing program or a skipped test is a failure. The last line
 * says how it went.
 */
const QUICK = "--quick";
const words = process.argv.slice(2);
const isQuick = words.includes(QUICK);
const missing = isQuick ? [] : providePrograms();
reportMissing(missing);
process.exitCode = runTests({
  root: new URL("..", import.meta.url).pathname,
  config: isQuick ? "test/vitest.quick.config.ts" : "test/vitest.config.ts",
  args: words.filter((word) => word !== QUICK),
  isCi: process.env.CI === "true",
  missing,
});
