import { parseFlags } from "../../src/cli/flags.ts";
import { LINT_FLAGS, readOptions } from "../../src/cli/nginx-lint.ts";
import { DumpFiles } from "../../src/nginx/dump.ts";
import { lint } from "../../src/nginx/lint/result.ts";
import { readConfiguration } from "../../src/nginx/reader.ts";
import { pageText } from "./pages.ts";

/** A configuration of docs/nginx.md. */
export interface NginxBlock {
  readonly line: number;
  readonly text: string;
  /** The flags of `sluice nginx lint` in the comment above it. */
  readonly flags: readonly string[];
  /** The rules that lint must report, notes included; empty without a comment. */
  readonly rules: readonly string[];
}

/**
 * Returns the configurations of the page. A comment `<!-- lint FLAGS finds RULE RULE -->` on the line above names the
 * findings; without it, or with `nothing`, lint must find nothing.
 */
export function nginxBlocks(): readonly NginxBlock[] {
  const page = pageText("docs/nginx.md");
  const pattern = /(?:^<!-- lint (.*?) ?finds (.*?) -->\n)?^```nginx\n([\s\S]*?)^```$/gm;
  return [...page.matchAll(pattern)].map(({ 1: flags = "", 2: rules = "", 3: text = "", index }) => ({
    line: page.slice(0, index).split("\n").length,
    text,
    flags: wordsOf(flags),
    rules: wordsOf(rules === "nothing" ? "" : rules).toSorted(),
  }));
}

const wordsOf = (text: string): string[] => text.split(" ").filter((word) => word !== "");

/** Returns the rules that report findings in a block. */
export async function lintBlock({ text, flags }: NginxBlock): Promise<readonly string[]> {
  const files = new DumpFiles(new Map([["page.conf", text]]));
  const configuration = readConfiguration("page.conf", files);
  const words = flags.includes("--nginx") ? flags : [...flags, "--nginx", "1.22.1"];
  const options = await readOptions(parseFlags(words, LINT_FLAGS), [configuration]);
  const { findings } = lint(configuration, options);
  return [...new Set(findings.map(({ rule }) => rule))].toSorted();
}
