/** A line of the log, parsed. */
export type LogLine = Readonly<Record<string, unknown>>;

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * Returns a line for people: that of a request says in its message what happened, `GET /chat 200 8 events 2.5 s`, and
 * has no other fields. An error keeps its stack only if it has one. Other lines stay as they are.
 */
export function forPeople(line: LogLine): LogLine {
  const { level, time, msg } = line;
  if (msg === "request") return { level, time, msg: requestText(line) };
  if (msg === "stream opened") return { level, time, msg: `${line["method"]} ${line["path"]} stream opened` };
  const { err, ...others } = line;
  return isPlainError(err) ? { ...others, reason: err.message } : line;
}

function requestText(line: LogLine): string {
  const { method, path, status, events, durationMs, endReason, err } = line;
  const parts = [method, path, status];
  if (typeof events === "number") parts.push(`${events} ${events === 1 ? "event" : "events"}`);
  if (typeof durationMs === "number") parts.push(duration(durationMs));
  if (endReason !== undefined && endReason !== "completed")
    parts.push(String(endReason).replaceAll("_", " "));
  if (hasMessage(err)) parts.push(`${err.code === undefined ? "" : `${err.code}: `}${err.message}`);
  if (typeof line["preflightRefused"] === "string") parts.push(line["preflightRefused"]);
  return parts.join(" ");
}

/** Returns a duration with the unit that a person would use: 12 ms, 2.5 s, 3 min, 2.1 h. */
function duration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
  return ms < HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${(ms / HOUR_MS).toFixed(1)} h`;
}

interface ErrorFields {
  readonly message: string;
  readonly code?: unknown;
}

function hasMessage(err: unknown): err is ErrorFields {
  return typeof err === "object" && err !== null && "message" in err && typeof err.message === "string";
}

/** Whether an error has a message and no stack, so that its message is all there is to show. */
function isPlainError(err: unknown): err is ErrorFields {
  return hasMessage(err) && !("stack" in err && err.stack);
}
