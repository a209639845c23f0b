import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseFlags } from "../../../src/cli/flags.ts";
import { LINT_FLAGS, readOptions } from "../../../src/cli/nginx-lint.ts";
import { DiskFiles } from "../../../src/nginx/files.ts";
import { lint } from "../../../src/nginx/lint/result.ts";
import { RULES } from "../../../src/nginx/lint/rules.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";

/**
 * Each rule has a directory with a configuration that it warns of and one that says the same without the fault.
 *
 * `# lint: FLAGS` on the first line are flags of the command line; `# expect: SEVERITY` at the end of a line is
 * where the finding must be, and nothing else may be found, on locations that may carry streams either.
 */
const ROOT = new URL("rules/", import.meta.url).pathname;

async function findingsOf(rule: string, name: string) {
  const path = `${ROOT}${rule}/${name}.conf`;
  const text = readFileSync(path, "utf8");
  const configuration = readConfiguration(path, new DiskFiles());
  const words = /^# lint: (.*)/.exec(text)?.[1]?.split(" ") ?? [];
  const inPlace = words.map((word) => (word === "sluice" ? `${ROOT}${rule}/sluice` : word));
  const version = words.includes("--nginx") ? [] : ["--nginx", "1.22.1"];
  const options = await readOptions(parseFlags([...inPlace, ...version], LINT_FLAGS), [configuration]);
  const found = lint(configuration, options).findings.map(
    ({ rule: id, severity, at }) => `${at.file.place(at.start).line} ${severity} ${id}`,
  );
  return { text, found };
}

function expected(rule: string, text: string): string[] {
  return text.split("\n").flatMap((line, at) => {
    const severity = /# expect: (\w+)$/.exec(line)?.[1];
    return severity === undefined ? [] : [`${at + 1} ${severity} ${rule}`];
  });
}

test("every rule has its pair of configurations, and no pair is left of a rule that went", () => {
  expect(readdirSync(ROOT).toSorted()).toEqual(RULES.map(({ id }) => id).toSorted());
});

describe.each(RULES.map(({ id }) => id))("%s", (rule) => {
  test("finds the fault, where it is, and nothing else", async () => {
    const { text, found } = await findingsOf(rule, "bad");
    expect(expected(rule, text)).toHaveLength(1);
    expect(found).toEqual(expected(rule, text));
  });

  test("says nothing without it", async () => {
    const { found } = await findingsOf(rule, "good");
    expect(found).toEqual([]);
  });
});
