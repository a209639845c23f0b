import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";
import type { ServerConfig } from "../config/server-schema.ts";

export type Log = Logger;

/**
 * Makes the gateway's log: one JSON object a line, or lines for people.
 *
 * Lines are written at once to `destination`, standard output unless given. `pretty` formats in this process,
 * without a worker thread, because a thread's queue is lost when the process is killed.
 */
export function createLog(config: ServerConfig["log"], destination?: DestinationStream): Log {
  const options = { level: config.level, base: null, timestamp: stdTimeFunctions.isoTime };
  const target = destination ?? pino.destination({ fd: 1, sync: true });
  if (config.format === "json") return pino(options, target);
  const format = prettyFactory({ colorize: process.stdout.isTTY, singleLine: true });
  return pino(options, { write: (line) => target.write(format(line)) });
}
