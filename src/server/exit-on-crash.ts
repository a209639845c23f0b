import type { Log } from "../observe/log.ts";

const CRASHED = 1;

/** After an error that nobody expected, state is unknown: says so, and lets whoever started the process start anew. */
export function exitOnCrash(log: Log): void {
  const crash = (err: unknown, msg: string): void => {
    try {
      log.fatal({ err }, msg);
    } finally {
      // The log itself may be what is broken.
      process.exit(CRASHED);
    }
  };
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));
  process.on("unhandledRejection", (reason) => crash(reason, "unhandled rejection"));
}
