import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { afterTest } from "../support/after-test.ts";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The blocks that begin with the name of a file: `# config/routes/feed.yaml`. */
const FILES = [...README.matchAll(/^```yaml\n# (config\/[\w./-]+)\n([\s\S]*?)^```$/gm)].map(
  ([, path = "", text = ""]) => ({ path, text }),
);

test("the configuration files of the README work as they stand, side by side", () => {
  const root = mkdtempSync(join(tmpdir(), "readme-"));
  afterTest(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "config/routes"), { recursive: true });
  const env: Record<string, string> = {};
  for (const { path, text } of FILES) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    for (const [, name = ""] of text.matchAll(/\$\{(\w+)\}/g)) env[name] = name.padEnd(64, "x");
  }
  const loaded = loadConfig(join(root, "config"), env);
  const problems = "problems" in loaded ? loaded.problems.map(formatProblem) : [];
  expect(problems).toEqual([]);
  expect(FILES.length).toBeGreaterThan(2);
});
