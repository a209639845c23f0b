import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { SLOW_FILES } from "./slow-files.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/**
 * Returns the files of a project for a quick run: the files that start no process and are not on the list of slow
 * files.
 */
export function quickFiles(project: string): string[] {
  return readdirSync(join(ROOT, "test", project), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("test", project, name))
    .filter((path) => !SLOW_FILES.includes(path) && !startsProcesses(join(ROOT, path)));
}

const known = new Map<string, boolean>();

/** Whether a test file imports node:child_process, directly or through other test files. */
function startsProcesses(path: string): boolean {
  const found = known.get(path);
  if (found !== undefined) return found;
  // Ends the recursion if an import leads back to this file.
  known.set(path, false);
  const text = readFileSync(path, "utf8");
  const imported = [...text.matchAll(/from "(\.[^"]+)"/g)].map(([, name = ""]) => join(path, "..", name));
  const ofTests = imported.filter((each) => relative(ROOT, each).startsWith("test/") && existsSync(each));
  const starts = text.includes('"node:child_process"') || ofTests.some(startsProcesses);
  known.set(path, starts);
  return starts;
}
