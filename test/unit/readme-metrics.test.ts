import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("every metric has its line in the README, and every line its metric", () => {
  const declared = read("src/observe/metrics.ts").matchAll(/name: "(sluice_\w+)"/g);
  const described = read("README.md").matchAll(/^\| `(sluice_\w+)` \|/gm);
  const names = (found: Iterable<RegExpExecArray>) => [...found].map(([, name]) => name).toSorted();
  expect(names(described)).toEqual(names(declared));
});
