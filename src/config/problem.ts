/** A place in a file, both counted from 1, the column in UTF-16 units as editors count it. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with the configuration. */
export interface Problem {
  /** The file or directory as the user named it; undefined for a flag. */
  readonly file: string | undefined;
  readonly at: SourcePosition | undefined;
  /** `stream.heartbeat`, or `--to`; empty when the file as a whole is meant. */
  readonly key: string;
  readonly message: string;
}

/** What is wrong with a configuration and shows only when it is used: a file or an issuer that is not there. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}

/** `config/routes/chat.yaml:12:5 stream.heartbeat: expected a duration such as 15s`. */
export function formatProblem({ file, at, key, message }: Problem): string {
  const place = [file, at?.line, at?.column].filter((part) => part !== undefined).join(":");
  if (key === "") return place === "" ? message : `${place}: ${message}`;
  return place === "" ? `${key}: ${message}` : `${place} ${key}: ${message}`;
}

/** By file, then by place; problems without a place come first. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const text = (problem: Problem) => problem.file ?? "";
  return problems.toSorted(
    (a, b) =>
      (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0) ||
      (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
      (a.at?.column ?? 0) - (b.at?.column ?? 0),
  );
}

/** `upstream.backends[0].url` */
export function spellPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}
