import type { Finding, Severity } from "./finding.ts";

const COLORS: Readonly<Record<Severity, string>> = { error: "31", warning: "33", info: "36" };
/** The maximum number of patterns shown: more would hide the message. */
const MAX_PATTERNS = 3;

/** Formats findings for people: place, severity, rule and locations, then the effect, its cause and the remedy. */
export function formatText(findings: readonly Finding[], hasColor: boolean): string {
  return findings.map((finding) => formatFinding(finding, hasColor)).join("");
}

function formatFinding(finding: Finding, hasColor: boolean): string {
  const { rule, severity, at, message, cause, remedy, facts } = finding;
  const paint = (text: string, code: string) => (hasColor ? `\u001b[${code}m${text}\u001b[0m` : text);
  const { line, column } = at.file.place(at.start);
  const where = patterns(finding.locations);
  const head = [
    printable(`${at.file.path}:${line}:${column}`),
    paint(severity, COLORS[severity]),
    paint(rule, "1"),
    ...(where === "" ? [] : [` ${printable(where)}`]),
  ];
  const known = facts.length === 0 ? "" : ` (${facts.join(" ")})`;
  const details = [`${message}${known}`, ...(cause === undefined ? [] : [cause]), `fix: ${remedy}`];
  return [head.join(" "), ...details.map((text) => `   ${printable(text)}`)]
    .map((text) => `${text}\n`)
    .join("");
}

function patterns(locations: readonly string[]): string {
  const shown = locations.slice(0, MAX_PATTERNS).join(", ");
  const more = locations.length - MAX_PATTERNS;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

/** Escapes control characters: bytes of a configuration must not control the terminal. */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** Returns `2 errors, 1 warning`; empty without findings. */
export function countFindings(findings: readonly Finding[]): string {
  const count = (severity: Severity, one: string, many: string) => {
    const found = findings.filter((finding) => finding.severity === severity).length;
    return found === 0 ? [] : [`${found} ${found === 1 ? one : many}`];
  };
  return [
    ...count("error", "error", "errors"),
    ...count("warning", "warning", "warnings"),
    ...count("info", "note", "notes"),
  ].join(", ");
}
