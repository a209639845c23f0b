import { ConfigError, formatProblem } from "../config/problem.ts";

/** The maximum number of problems of a rejected configuration that are kept, and of characters of each; the log has all. */
const MAX_PROBLEMS = 5;
const MAX_CHARACTERS = 500;

/** The results of the reloads of the configuration. */
export interface Reloads {
  readonly succeeded: number;
  readonly failed: number;
  readonly last: LastReload | undefined;
}

export interface LastReload {
  readonly result: "success" | "failure";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The first problems of a rejected configuration; empty after a success. */
  readonly problems: readonly string[];
}

/** The results before the first reload. */
export const NO_RELOADS: Reloads = { succeeded: 0, failed: 0, last: undefined };

/** Returns the results with one more, at the present time. */
export function withReload(
  { succeeded, failed }: Reloads,
  result: LastReload["result"],
  problems: readonly string[] = [],
): Reloads {
  const kept = problems.slice(0, MAX_PROBLEMS).map((problem) => problem.slice(0, MAX_CHARACTERS));
  const last: LastReload = { result, at: Date.now(), problems: kept };
  return result === "success"
    ? { succeeded: succeeded + 1, failed, last }
    : { succeeded, failed: failed + 1, last };
}

/** Returns the texts of the problems that an error of a reload reports. */
export function problemTexts(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(formatProblem);
  return error instanceof Error ? [error.message] : [];
}
