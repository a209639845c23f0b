import type { HeartbeatConfig } from "../config/heartbeat-schema.ts";
import type { StreamConfig } from "../config/route-schema.ts";
import { fieldValue, type RawFields } from "../http/fields.ts";

/** The shortest comment line. No empty line follows it: some decoders would dispatch an empty event. */
export const COMMENT_LINE = Buffer.from(":\n");

/**
 * How long `comments: auto` waits for a first event before it sends the prelude, in ms. The head is sent at once in any
 * case; HTTP/2 hops that hold a bare head need the prelude only if no event follows soon.
 */
export const PRELUDE_DELAY_MS = 1_000;

/** The lines that sluice may add to a stream: any, any but comment lines, or none. */
export type AddedLines = "any" | "noComments" | "none";

/**
 * Returns the lines that sluice may add to the stream of a client.
 *
 * Google's SDKs, which send X-Goog-Api-Client, do not parse streams as WHATWG says. After `:\n`, `@google/genai` drops
 * the next event without an error, and `@google/generative-ai` fails with "Failed to parse stream"; that one fails on any
 * line but `data:`.
 */
export function addedLines({ comments }: Pick<StreamConfig, "comments">, rawHeaders: RawFields): AddedLines {
  if (comments === "off") return "noComments";
  return comments === "auto" && fieldValue(rawHeaders, "x-goog-api-client") !== undefined ? "none" : "any";
}

type OpeningConfig = Pick<StreamConfig, "comments" | "retry" | "prelude" | "padding">;

/**
 * Returns the lines before the first event, empty if there are none. `retryMs` is the reconnection time to send if the
 * route sets none.
 */
export function openingLines(config: OpeningConfig, added: AddedLines, retryMs?: number): string {
  if (added === "none") return "";
  const { comments, prelude, padding } = config;
  const time = config.retry ?? retryMs;
  const hasComments = added === "any";
  return (
    (hasComments && prelude && comments === "on" ? ":\n" : "") +
    (hasComments && padding > 0 ? `:${" ".repeat(Math.max(0, padding - 2))}\n` : "") +
    (time === undefined ? "" : `retry: ${time}\n\n`)
  );
}

/** Whether to send a comment line if nothing else was sent within `PRELUDE_DELAY_MS`. */
export function hasLatePrelude({ comments, prelude }: OpeningConfig, added: AddedLines): boolean {
  return added === "any" && prelude && comments === "auto";
}

/** Whether a client gets heartbeats. */
export function takesHeartbeats({ event }: HeartbeatConfig, added: AddedLines): boolean {
  return added === "any" || (added === "noComments" && event !== undefined);
}

/**
 * Returns the bytes of a heartbeat. An event has no id, so the client's last event id stays; its data is JSON, because
 * many clients parse the data of every event.
 */
export function heartbeatBytes({ event }: HeartbeatConfig): Buffer {
  return event === undefined ? COMMENT_LINE : Buffer.from(`event: ${event}\ndata: {}\n\n`);
}
