import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { afterTest } from "../../support/after-test.ts";
import { certificate } from "../../support/certificate.ts";
import { run } from "../../support/command.ts";
import { lintBlock } from "../../support/nginx-page.ts";
import { allBlocks, type Block, blocksOf, pageText } from "../../support/pages.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const ANY_ROUTE = "match: { path: /* }\nmock: { status: 204 }\n";

const blocks = allBlocks();
const of = (...languages: string[]) =>
  blocks
    .filter(({ language }) => languages.includes(language))
    .map((block) => ({ ...block, place: `${block.page}:${block.line}` }));

/** The file name in the first line of a block: `# config/routes/feed.yaml`, optionally with `(wrong)`. */
const titleOf = ({ text }: Block): string => /^(?:#|\/\/) (.*)\n/.exec(text)?.[1] ?? "";
const CONFIG_FILE = /^config\/(sluice\.yaml|apps\.yaml|routes\/[\w-]+\.yaml)( \(wrong\))?$/;

/** The languages of blocks, and the test of each. */
const LANGUAGES: Readonly<Record<string, string>> = {
  "": "pictures, trees of files and events",
  yaml: "below",
  json: "below",
  js: "below",
  nginx: "below, and the tests of docs/nginx.md",
  sh: "test/e2e/pages.test.ts",
  console: "test/e2e/pages.test.ts",
};

test("a test knows the language of every block", () => {
  expect(blocks.filter(({ language }) => !(language in LANGUAGES))).toEqual([]);
});

describe("YAML", () => {
  test.each(of("yaml"))("at $place is loaded", (block) => {
    const title = titleOf(block);
    const [, file, isWrong] = CONFIG_FILE.exec(title) ?? [];
    if (file !== undefined) {
      const problems = problemsOf(block, file);
      if (isWrong === undefined) expect(problems).toEqual([]);
      else expect(problems).not.toEqual([]);
    } else if (title === "prometheus") checkPrometheus(block.text);
    else {
      const excerpt = block.text.slice(block.text.indexOf("\n") + 1);
      expect(readFileSync(join(ROOT, title), "utf8")).toContain(excerpt);
    }
  });

  test("npm start serves the first route of the README", () => {
    const [first] = blocksOf("README.md").filter(({ language }) => language === "yaml");
    const served = readFileSync(join(ROOT, "config/routes/hello.yaml"), "utf8");
    expect(parse(served)).toEqual(parse(first?.text ?? ""));
  });
});

/** Returns the problems of a configuration file, loaded with a route and with the apps above it on the page. */
function problemsOf(block: Block, file: string): string[] {
  const root = mkdtempSync(join(tmpdir(), "pages-"));
  afterTest(() => rmSync(root, { recursive: true }));
  const apps = blocksOf(block.page).findLast(
    (other) => titleOf(other) === "config/apps.yaml" && other.line < block.line,
  );
  const files: Record<string, string> = {
    ...(/^ *path: \/\*$/m.test(block.text) ? {} : { "routes/any.yaml": ANY_ROUTE }),
    ...(apps === undefined ? {} : { "apps.yaml": apps.text }),
    [file]: block.text,
  };
  for (const [path] of block.text.matchAll(/tls\/[\w.]+/g))
    files[path] = path.endsWith(".key") ? certificate.key : certificate.cert;
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const names = Object.values(files).flatMap((text) => [...text.matchAll(/\$\{(\w+)\}/g)]);
  const env = Object.fromEntries(names.map(([, name = ""]) => [name, name.padEnd(64, "x")]));
  const loaded = loadConfig(root, env);
  return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
}

/** Checks a file for Prometheus: it is YAML, and its metrics and labels exist. */
function checkPrometheus(text: string): void {
  expect(parse(text)).toBeTypeOf("object");
  const rows = pageText("docs/metrics.md");
  for (const [, metric, labels = ""] of text.matchAll(/\b(sluice_\w+)(?:\{(\w+)=)?/g)) {
    const row = rows.split("\n").find((line) => line.startsWith(`| \`${metric}\``));
    expect(row ?? metric).toContain(labels);
    expect(row).toBeDefined();
  }
}

test.each(of("json"))("JSON at $place is JSON", ({ text }) => {
  expect(() => JSON.parse(text)).not.toThrow();
});

test.each(of("nginx"))("lint can read the nginx configuration at $place", async (block) => {
  const flags = ["--sluice", "127.0.0.1:8000"];
  expect(await lintBlock({ line: block.line, text: block.text, flags, rules: [] })).not.toContain("syntax");
});

test.each(of("js"))("JavaScript at $place is JavaScript", async ({ text }) => {
  const root = mkdtempSync(join(tmpdir(), "pages-"));
  afterTest(() => rmSync(root, { recursive: true }));
  const file = join(root, "block.mjs");
  writeFileSync(file, text);
  await run(process.execPath, ["--check", file]);
});
