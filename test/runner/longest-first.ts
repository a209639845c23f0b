import { BaseSequencer, type TestSpecification } from "vitest/node";
import { SLOW_FILES } from "./slow-files.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Starts the longest files first: if a long file started last, the other workers would wait for it without work. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = SLOW_FILES.indexOf(moduleId.slice(ROOT.length));
      return at === -1 ? SLOW_FILES.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
