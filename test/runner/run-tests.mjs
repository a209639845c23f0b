import { relative } from "node:path";
import { Outcomes } from "./outcomes.mjs";
import { runVitest } from "./vitest.mjs";

/** How often a file of which a test failed is run again, by itself. */
const RUNS_AGAIN = 2;
/** So many flaky tests fail a run: two may be bad luck on a busy machine, three are a fault of ours. */
const TOO_MANY_FLAKY = 3;
/** When more files than these fail, they have one cause, and to run each again tells nothing. */
const MAX_FILES_RUN_AGAIN = 10;

/**
 * Runs the suite of a Vitest configuration, prints how it went and returns the exit code.
 *
 * A test that fails and passes when its file is run again is printed as flaky, by its name. `missing` are programs that
 * tests need; with `isCi` a missing program or a skipped test fails the run.
 */
export function runTests({ root, config, args = [], isCi = false, missing = [] }) {
  const suite = { root, config };
  const first = runVitest(suite, args);
  if (first === undefined) {
    console.log("0 passed, 1 failed");
    return 1;
  }
  const outcomes = new Outcomes();
  outcomes.add(first.files);
  const unhandled = first.unhandled + runAgain(suite, args, outcomes);
  return report(outcomes, { root, unhandled, isCi, missing });
}

/** Runs each failed file again; returns the number of errors outside any file. */
function runAgain(suite, args, outcomes) {
  // A path among the arguments would select more than the file.
  const options = args.filter((word) => /^--[^=]+=/.test(word));
  let unhandled = 0;
  for (let round = 1; round <= RUNS_AGAIN; round += 1) {
    const files = new Set(outcomes.failed().map(({ file }) => file));
    if (files.size > MAX_FILES_RUN_AGAIN) {
      console.log(`${files.size} files failed: no file is run again`);
      return unhandled;
    }
    for (const file of files) {
      console.log(`\nrunning again: ${relative(suite.root, file)}`);
      const result = runVitest(suite, [...options, file]);
      unhandled += result?.unhandled ?? 1;
      outcomes.add(result?.files ?? []);
    }
  }
  return unhandled;
}

function report(outcomes, { root, unhandled, isCi, missing }) {
  const skipped = outcomes.skipped();
  const flaky = outcomes.flaky();
  const passed = outcomes.passed().length;
  const failed = outcomes.failed().length + unhandled;
  for (const { file, errors } of outcomes.broken()) console.log(`did not run: ${file}\n${errors.join("\n")}`);
  for (const { name } of skipped) console.log(`skipped: ${name}`);
  for (const { file, name } of flaky) console.log(`flaky: ${name} (${relative(root, file)})`);

  const reasons = [
    isCi && skipped.length + missing.length > 0 && "with CI=true nothing may be skipped or missing",
    flaky.length >= TOO_MANY_FLAKY && `${flaky.length} flaky tests in one run`,
    passed === 0 && "no test passed",
  ].filter((reason) => reason !== false);
  for (const reason of reasons) console.log(`failed: ${reason}`);
  const counts = [`${passed} passed`, `${failed} failed`];
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  if (flaky.length > 0) counts.push(`${flaky.length} flaky`);
  console.log(counts.join(", "));
  return failed === 0 && reasons.length === 0 ? 0 : 1;
}
