import type { Finding } from "./finding.ts";
import type { LintResult } from "./result.ts";
import type { View } from "./view.ts";

/** The settings that matter for streams, as suffixes of the family's directives. */
const FAMILY_SETTINGS = ["buffering", "read_timeout", "request_buffering", "cache", "ignore_client_abort"];
const SETTINGS = ["proxy_http_version", "chunked_transfer_encoding", "gzip", "client_max_body_size"];

/** The output of `--format json`. */
export interface JsonReport {
  readonly version: string;
  readonly nginx: string;
  readonly results: readonly LintResult[];
  readonly findings: readonly Finding[];
  readonly hidden: number;
}

/** Formats findings and effective values as one JSON text. */
export function formatJson({ version, nginx, results, findings, hidden }: JsonReport): string {
  const report = {
    version,
    nginx,
    files: [...new Set(results.flatMap(({ configuration }) => configuration.files.map(({ path }) => path)))],
    locations: results.flatMap(({ views }) => views.map(locationJson)),
    findings: findings.map(findingJson),
    hidden,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function locationJson(view: View) {
  const { location, carries, why, target } = view;
  const at = location.directive ?? target.directive;
  const names = [...FAMILY_SETTINGS.map((suffix) => `${target.family}_${suffix}`), ...SETTINGS];
  return {
    file: at.file.path,
    line: at.line,
    pattern: location.pattern,
    carries,
    why,
    target: target.directive.arg(0),
    effective: Object.fromEntries(names.map((name) => [name, settingJson(view, name)])),
  };
}

function settingJson(view: View, name: string) {
  const { value, directive, level } = view.setting(name);
  if (directive === undefined) return { value, level: "default" };
  return { value, file: directive.file.path, line: directive.line, level: level?.kind };
}

function findingJson(finding: Finding) {
  const { rule, severity, at, locations, message, cause, remedy, facts, fix } = finding;
  const start = at.file.place(at.start);
  const end = at.file.place(at.end);
  return {
    rule,
    severity,
    file: at.file.path,
    line: start.line,
    column: start.column,
    endLine: end.line,
    endColumn: end.column,
    locations,
    message,
    cause,
    fix: {
      text: remedy,
      // Offsets count bytes, because programs in other languages read the file as bytes.
      edits: fix?.edits.map(({ file, from, to, text }) => ({
        file: file.path,
        from: file.byteOffset(from),
        to: file.byteOffset(to),
        text,
      })),
    },
    facts,
  };
}
