import { FACTS } from "./facts.ts";
import type { Finding, Range } from "./finding.ts";
import { RULES } from "./rules.ts";

const LEVELS = { error: "error", warning: "warning", info: "note" } as const;

/** Formats findings as SARIF 2.1.0 for code-scanning services. `documentation` is the URL of docs/nginx.md. */
export function formatSarif(findings: readonly Finding[], version: string, documentation?: string): string {
  const run = {
    tool: {
      driver: {
        name: "sluice nginx lint",
        semanticVersion: version,
        rules: RULES.map(({ id, summary, facts }) => ({
          id,
          shortDescription: { text: summary },
          help: { text: [summary, ...facts.map((fact) => `${fact}: ${FACTS[fact]}`)].join("\n") },
          ...(documentation === undefined ? {} : { helpUri: `${documentation}#${id}` }),
        })),
      },
    },
    columnKind: "utf16CodeUnits",
    results: findings.map(resultOf),
  };
  const log = { $schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0", runs: [run] };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function resultOf(finding: Finding) {
  const { rule, severity, at, message, cause, remedy, fix } = finding;
  return {
    ruleId: rule,
    ruleIndex: RULES.findIndex(({ id }) => id === rule),
    level: LEVELS[severity],
    message: { text: [message, cause, `fix: ${remedy}`].filter((part) => part !== undefined).join("\n") },
    locations: [{ physicalLocation: { artifactLocation: artifact(at), region: region(at) } }],
    ...(fix === undefined ? {} : { fixes: [fixOf(finding)] }),
  };
}

function fixOf({ fix, remedy }: Finding) {
  const edits = fix?.edits ?? [];
  const files = [...new Set(edits.map(({ file }) => file))];
  return {
    description: { text: remedy },
    artifactChanges: files.map((file) => ({
      artifactLocation: artifact({ file, start: 0, end: 0 }),
      replacements: edits
        .filter((edit) => edit.file === file)
        .map(({ from, to, text }) => ({
          deletedRegion: region({ file, start: from, end: to }),
          insertedContent: { text },
        })),
    })),
  };
}

/** Relative paths are relative to the working directory, as code-scanning services expect. */
const artifact = ({ file }: Range) => ({ uri: file.path.split("/").map(encodeURIComponent).join("/") });

function region({ file, start, end }: Range) {
  const from = file.place(start);
  const to = file.place(end);
  return { startLine: from.line, startColumn: from.column, endLine: to.line, endColumn: to.column };
}
