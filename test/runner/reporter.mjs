import { writeFileSync } from "node:fs";

/**
 * Writes the outcome of a run into the file that RUN_RESULT names: each file with its tests, and the number of errors
 * outside any test, which Vitest's own JSON leaves out.
 */
// biome-ignore lint/style/noDefaultExport: Vitest loads a reporter by its default export
export default class Reporter {
  onTestRunEnd(modules, unhandled) {
    const files = modules.map((module) => ({
      file: module.moduleId,
      errors: errorsOf(module),
      tests: [...module.children.allTests()].map((test) => ({
        name: test.fullName,
        state: test.result().state,
      })),
    }));
    writeFileSync(process.env.RUN_RESULT, JSON.stringify({ files, unhandled: unhandled.length }));
  }
}

/** What failed outside the tests: a file that does not load, a hook that throws. */
function errorsOf(module) {
  const owners = [module, ...module.children.allSuites()];
  return owners.flatMap((owner) => owner.errors().map(({ message }) => message));
}
