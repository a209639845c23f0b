import { visibleText } from "../base/visible-text.ts";
import { formatProblem, type Problem } from "../config/problem.ts";

/** Exit codes: done, crashed, wrong usage or configuration. */
export const EXIT = { done: 0, crashed: 1, refused: 2 } as const;

/** The configuration directory if `--config` names none. */
export const DEFAULT_DIRECTORY = "./config";

/** One subcommand. */
export interface Command {
  /** What `--help` prints. */
  readonly help: string;
  /** Runs to its end and resolves with the exit code; a wrong flag is thrown as `UsageError`. */
  run(args: readonly string[]): number | Promise<number>;
}

/** A command line that cannot be understood; the message is one line. */
export class UsageError extends Error {}

/** Prints every problem to standard error, one a line. */
export function refuse(problems: readonly Problem[]): number {
  for (const problem of problems) process.stderr.write(`${visibleText(formatProblem(problem))}\n`);
  return EXIT.refused;
}
