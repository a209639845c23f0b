/** A place in a file. Line and column count from 1, the column in UTF-16 code units, as editors do. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** One problem of the configuration. */
export interface Problem {
  /** The file or directory as the user named it; undefined for a flag. */
  readonly file: string | undefined;
  readonly at: SourcePosition | undefined;
  /** A key such as `stream.heartbeat`, or a flag such as `--to`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
}

/** The problems of a configuration. Some show only when it is used, such as a key set that cannot be fetched. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}

/** Returns a line such as `config/routes/chat.yaml:12:5 stream.heartbeat: expected a duration such as 15s`. */
export function formatProblem({ file, at, key, message }: Problem): string {
  const place = [file, at?.line, at?.column].filter((part) => part !== undefined).join(":");
  if (key === "") return place === "" ? message : `${place}: ${message}`;
  return place === "" ? `${key}: ${message}` : `${place} ${key}: ${message}`;
}

/** Sorts problems by file, then by place; problems without a place come first. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const text = (problem: Problem) => problem.file ?? "";
  return problems.toSorted(
    (a, b) =>
      (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0) ||
      (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
      (a.at?.column ?? 0) - (b.at?.column ?? 0),
  );
}

/** Returns a path as text, such as `upstream.backends[0].url`. */
export function spellPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "");
}
