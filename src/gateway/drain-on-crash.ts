import type { Log } from "../observe/log.ts";

/** The exit code of a process that crashed. */
export const CRASHED = 1;

/** Errors that are logged while the process drains; a fault that comes with every request would fill the log. */
const MAX_FURTHER_ERRORS = 100;

/** What an error means that belongs to no exchange. */
export interface CrashPlan {
  readonly log: Log;
  /** The longest that `drain` may take, in ms; asked when it begins. */
  limitMs(): number;
  /** Ends what is under way; called once. The process exits when it has settled. */
  drain(): Promise<unknown>;
}

/**
 * After an uncaught error, says so, drains as on SIGTERM and exits with `CRASHED`: the state is unknown, yet thousands
 * of streams should not fall with one bug.
 */
export function drainOnCrash({ log, limitMs, drain }: CrashPlan): void {
  let errors = 0;
  const exit = () => process.exit(CRASHED);
  const crash = (err: unknown, msg: string): void => {
    errors++;
    try {
      log.fatal({ err }, msg);
    } catch {
      // The log itself may be what is broken.
    }
    if (errors > MAX_FURTHER_ERRORS) exit();
    if (errors > 1) return;
    setTimeout(exit, limitMs());
    drain().then(exit, exit);
  };
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));
  process.on("unhandledRejection", (reason) => crash(reason, "unhandled rejection"));
}
