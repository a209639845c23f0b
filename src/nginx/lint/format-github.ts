import type { Finding } from "./finding.ts";

const COMMANDS = { error: "error", warning: "warning", info: "notice" } as const;

/** Formats findings as workflow commands: GitHub Actions shows them at the lines of a pull request. */
export function formatGithub(findings: readonly Finding[]): string {
  return findings
    .map(({ rule, severity, at, message, cause, remedy }) => {
      const { line, column } = at.file.place(at.start);
      const end = at.file.place(at.end);
      const text = [message, cause, `fix: ${remedy}`].filter((part) => part !== undefined).join("\n");
      const properties = [
        ["file", at.file.path],
        ["line", line],
        ["endLine", end.line],
        ["col", column],
        ["title", rule],
      ];
      const list = properties.map(([name, value]) => `${name}=${escapeProperty(String(value))}`).join(",");
      return `::${COMMANDS[severity]} ${list}::${escapeData(text)}\n`;
    })
    .join("");
}

const escapeData = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");

const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
