import { readFileSync } from "node:fs";
import { parseFlags } from "../../../src/cli/flags.ts";
import { LINT_FLAGS, readOptions } from "../../../src/cli/nginx-lint.ts";
import { DiskFiles } from "../../../src/nginx/files.ts";
import type { LintOptions } from "../../../src/nginx/lint/options.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";

/** A directory per rule, with a bad configuration that the rule reports and a good one without the problem. */
export const FIXTURES = new URL("rules/", import.meta.url).pathname;

export interface Fixture {
  readonly path: string;
  readonly text: string;
  /** The options from the flags on the first line: `# lint: --sluice 127.0.0.1:9000`. */
  readonly options: LintOptions;
}

/** Reads a configuration of a rule; without `--nginx` the version is 1.22. */
export async function fixtureOf(rule: string, name: "bad" | "good"): Promise<Fixture> {
  const path = `${FIXTURES}${rule}/${name}.conf`;
  const text = readFileSync(path, "utf8");
  const words = /^# lint: (.*)/.exec(text)?.[1]?.split(" ") ?? [];
  const inPlace = words.map((word) => (word === "sluice" ? `${FIXTURES}${rule}/sluice` : word));
  const version = words.includes("--nginx") ? [] : ["--nginx", "1.22.1"];
  const flags = parseFlags([...inPlace, ...version], LINT_FLAGS);
  return { path, text, options: await readOptions(flags, [readConfiguration(path, new DiskFiles())]) };
}
