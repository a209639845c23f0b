import type { Log } from "../observe/log.ts";

/** The exit code of a process that crashed. */
export const CRASHED = 1;

/**
 * The maximum number of errors that are logged while the process drains: a fault in every request would fill the log.
 */
const MAX_FURTHER_ERRORS = 100;

/** How a process ends after an error that belongs to no exchange. */
export interface CrashPlan {
  readonly log: Log;
  /** Returns the longest time for `drain`, in ms; called when it begins. */
  limitMs(): number;
  /** Ends the exchanges that are under way; called once. The process exits when the promise has settled. */
  drain(): Promise<unknown>;
}

/**
 * After an uncaught error, logs it, drains as on SIGTERM and exits with `CRASHED`. The state of the process is unknown,
 * yet one bug should not end thousands of streams at once.
 */
export function drainOnCrash({ log, limitMs, drain }: CrashPlan): void {
  let errors = 0;
  const exit = () => process.exit(CRASHED);
  const crash = (err: unknown, msg: string): void => {
    errors++;
    try {
      log.fatal({ err }, msg);
    } catch {
      // The log itself may be broken.
    }
    if (errors > MAX_FURTHER_ERRORS) exit();
    if (errors > 1) return;
    setTimeout(exit, limitMs());
    drain().then(exit, exit);
  };
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));
  process.on("unhandledRejection", (reason) => crash(reason, "unhandled rejection"));
}
