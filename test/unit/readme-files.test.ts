import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { afterTest } from "../support/after-test.ts";
import { certificate } from "../support/certificate.ts";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The blocks that begin with the name of a file: `# config/routes/feed.yaml`. */
const FILES = [...README.matchAll(/^```yaml\n# (config\/[\w./-]+)\n([\s\S]*?)^```$/gm)].map(
  ([, path = "", text = ""]) => ({ path, text }),
);

const SERVER = FILES.filter(({ path }) => path === "config/sluice.yaml").map(({ text }) => text);

test.each(SERVER)("a sluice.yaml of the README works beside any route: %#", (text) => {
  const root = mkdtempSync(join(tmpdir(), "readme-"));
  afterTest(() => rmSync(root, { recursive: true }));
  const files: Record<string, string> = {
    "sluice.yaml": text,
    "routes/any.yaml": "match: { path: /* }\nmock: { status: 204 }\n",
  };
  for (const [path] of text.matchAll(/tls\/[\w.]+/g))
    files[path] = path.endsWith(".key") ? certificate.key : certificate.cert;
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const env = Object.fromEntries(
    [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = ""]) => [name, name.padEnd(64, "x")]),
  );
  const loaded = loadConfig(root, env);
  expect("problems" in loaded ? loaded.problems.map(formatProblem) : []).toEqual([]);
});

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
