import { visibleText } from "../base/visible-text.ts";
import { formatProblem, type Problem } from "../config/problem.ts";

/** Exit codes: success, a crash, and wrong usage or configuration. */
export const EXIT = { done: 0, crashed: 1, refused: 2 } as const;

/** The configuration directory if `--config` names none. */
export const DEFAULT_DIRECTORY = "./config";

/** One subcommand. */
export interface Command {
  /** The text that `--help` prints. */
  readonly help: string;
  /** Runs the command and resolves with the exit code. Throws UsageError for a wrong command line. */
  run(args: readonly string[]): number | Promise<number>;
}

/** A wrong command line; the message is one line. */
export class UsageError extends Error {}

/** Prints every problem to standard error, one per line; returns the exit code. */
export function refuse(problems: readonly Problem[]): number {
  for (const problem of problems) process.stderr.write(`${visibleText(formatProblem(problem))}\n`);
  return EXIT.refused;
}
