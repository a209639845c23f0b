import { readFileSync } from "node:fs";
import { parseFlags } from "../../src/cli/flags.ts";
import { LINT_FLAGS, readOptions } from "../../src/cli/nginx-lint.ts";
import { DumpFiles } from "../../src/nginx/dump.ts";
import { DiskFiles } from "../../src/nginx/files.ts";
import { FACTS } from "../../src/nginx/lint/facts.ts";
import { type Finding, SEVERITIES } from "../../src/nginx/lint/finding.ts";
import { lint } from "../../src/nginx/lint/result.ts";
import type { Rule } from "../../src/nginx/lint/rule.ts";
import { RULES } from "../../src/nginx/lint/rules.ts";
import { readConfiguration } from "../../src/nginx/reader.ts";

const EXAMPLES = new URL("../unit/nginx/rules/", import.meta.url).pathname;
const VERSION = ["--nginx", "1.22.1"];

/**
 * The conditions of a rule's severity, as changes to its example: HTTP/1.0 to the backend, a path that does not name
 * a stream, and sluice as the backend.
 */
const VARIANTS: readonly Variant[] = [
  { edit: (text) => text },
  { edit: (text) => text.replaceAll(/^.*proxy_http_version 1\.1;.*\n/gm, "") },
  { edit: (text) => text.replaceAll("/events", "/things") },
  { edit: (text) => text, flags: ["--sluice", "127.0.0.1:9000"] },
];

interface Variant {
  readonly edit: (text: string) => string;
  readonly flags?: readonly string[];
}

/** Returns the rules of `sluice nginx lint` as a Markdown table; each row has the rule's id as its anchor. */
export async function ruleTable(): Promise<string> {
  const rows = await Promise.all(RULES.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(rowOf));
  return [
    "| rule | severity | `--fix` | it warns of | measured |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

async function rowOf(rule: Rule): Promise<string> {
  const found = (await Promise.all(VARIANTS.map((variant) => findingsOf(rule, variant)))).flat();
  const severities = SEVERITIES.filter((severity) => found.some((finding) => finding.severity === severity));
  const isFixable = found.some(({ fix }) => fix !== undefined);
  const measured = rule.facts.map((id) => `**${id}** ${FACTS[id]}`).join(" ");
  const cells = [
    `<a id="${rule.id}"></a>\`${rule.id}\``,
    severities.join(", "),
    isFixable ? "yes" : "",
    rule.summary,
    measured,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** Returns the findings of a rule in its bad example. */
async function findingsOf({ id }: Rule, { edit, flags = [] }: Variant): Promise<readonly Finding[]> {
  const path = `${EXAMPLES}${id}/bad.conf`;
  const text = edit(readFileSync(path, "utf8"));
  const own = (/^# lint: (.*)/.exec(text)?.[1]?.split(" ") ?? []).map((word) =>
    word === "sluice" ? `${EXAMPLES}${id}/sluice` : word,
  );
  const isSaid = (flag: string) => own.includes(flag);
  const words = [...own, ...(isSaid("--nginx") ? [] : VERSION), ...(isSaid("--sluice") ? [] : flags)];
  const files =
    id === "syntax" || id === "include-not-found" ? new DiskFiles() : new DumpFiles(new Map([[path, text]]));
  const configuration = readConfiguration(path, files);
  const options = await readOptions(parseFlags([...words, "--only", id], LINT_FLAGS), [configuration]);
  return lint(configuration, options).findings;
}
