import { type DestinationStream, type Logger, pino } from "pino";
import { visibleText } from "../base/visible-text.ts";
import type { ServerConfig } from "../config/server-schema.ts";
import { LogOutput } from "./log-output.ts";
import { writePlainLines } from "./plain-lines.ts";
import { prettyInto } from "./pretty-lines.ts";

export type Log = Logger;

const STANDARD_OUTPUT = 1;

/**
 * Makes the gateway's log: one JSON object a line, or lines for people.
 *
 * Lines go to `destination` as they are made or, unless it is given, to standard output, those of a moment together.
 * `pretty` formats in this process, without a worker thread, because a thread's queue is lost when the process is
 * killed.
 */
export function createLog(config: ServerConfig["log"], destination?: DestinationStream): Log {
  const options = { level: config.level, base: null, timestamp: isoTime };
  const onDropped = (lines: number): void => log.warn({ lines }, "log lines were dropped");
  const target = destination ?? new LogOutput(STANDARD_OUTPUT, onDropped);
  const lines = config.format === "json" ? target : prettyInto(target);
  // A terminal obeys some characters that JSON lets stand; those of plain lines were looked at already.
  const log = pino(options, { write: (line) => lines.write(visibleText(line)) });
  writePlainLines(log, lines, isoTime);
  return log;
}

let timeMs = 0;
let timeText = "";

/** Made once a millisecond, for as many lines as it has. */
function isoTime(): string {
  const now = Date.now();
  if (now !== timeMs) {
    timeMs = now;
    timeText = `,"time":"${new Date(now).toISOString()}"`;
  }
  return timeText;
}
