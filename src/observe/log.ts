import { type DestinationStream, type Logger, pino } from "pino";
import { visibleText } from "../base/visible-text.ts";
import type { ServerConfig } from "../config/server-schema.ts";
import { LogOutput } from "./log-output.ts";
import { writePlainLines } from "./plain-lines.ts";
import { prettyInto } from "./pretty-lines.ts";

export type Log = Logger;

const STANDARD_OUTPUT = 1;

/**
 * Creates the gateway's log: one JSON object per line, or lines for people.
 *
 * Lines go to `destination` one by one or, without it, to standard output in groups. `pretty` formats in this process
 * and not in a worker thread, whose queue would be lost when the process is killed.
 */
export function createLog(config: ServerConfig["log"], destination?: DestinationStream): Log {
  const options = { level: config.level, base: null, timestamp: isoTime };
  const onDropped = (lines: number): void => log.warn({ lines }, "log lines were dropped");
  const target = destination ?? new LogOutput(STANDARD_OUTPUT, onDropped);
  const lines = isForPeople(config.format) ? prettyInto(target) : target;
  // JSON leaves some characters unescaped that control a terminal. `writePlainLines` checks its own lines.
  const log = pino(options, { write: (line) => lines.write(visibleText(line)) });
  writePlainLines(log, lines, isoTime);
  return log;
}

/** Whether lines are for people: `pretty`, or `auto` on a terminal. */
export function isForPeople(format: ServerConfig["log"]["format"]): boolean {
  return format === "pretty" || (format === "auto" && process.stdout.isTTY);
}

let timeMs = 0;
let timeText = "";

/** Returns the time as a JSON member, formatted once per millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== timeMs) {
    timeMs = now;
    timeText = `,"time":"${new Date(now).toISOString()}"`;
  }
  return timeText;
}
