import * as z from "zod";
import { heartbeatSchema } from "./heartbeat-schema.ts";
import { duration, durationOrOff, size } from "./scalars.ts";

/** The `stream` of a route: how event streams are relayed. */

/** The media types whose responses are read while they are written. */
const STREAMED_TYPES = [
  "text/event-stream",
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/json-seq",
  "application/stream+json",
  "multipart/x-mixed-replace",
  "multipart/mixed",
  "application/grpc-web*",
  "application/connect+*",
  "application/vnd.amazon.eventstream",
  "text/x-component",
];

export const streamSchema = z.strictObject({
  heartbeat: heartbeatSchema
    .prefault("15s")
    .describe(
      "Send a comment line after this much silence; or { every: 15s, event: ping }, an event instead; or off. It hides a frozen backend from all others: see idleTimeout.",
    ),
  comments: z
    .enum(["auto", "on", "off"])
    .prefault("auto")
    .describe(
      "Comment lines of sluice. auto: the prelude only if no event came within a second, and no added line for Google's SDKs (X-Goog-Api-Client), which cannot read them. on: for all clients, the prelude directly after the head. off: none.",
    ),
  prelude: z.boolean().prefault(true).describe("Send one comment line before the first event: see comments."),
  retry: z
    .union([z.null(), duration], "expected a duration such as 3s, or null")
    .prefault(null)
    .describe("Send this reconnection time before the first event."),
  padding: size
    .prefault(0)
    .describe("Bytes of comment to send after the head; 2k helps old XHR polyfills and antivirus proxies."),
  idleTimeout: durationOrOff
    .prefault("off")
    .describe(
      "Abort the stream after this much silence of the backend. Without it, heartbeats keep the stream of a frozen backend open for ever.",
    ),
  maxDuration: durationOrOff
    .prefault("off")
    .describe(
      "End the stream after 80 to 100 % of this time, drawn at random for each stream: between two events if the request is a GET that accepts text/event-stream; any other is aborted.",
    ),
  clientBuffer: size
    .prefault("256k")
    .describe(
      "The maximum number of bytes buffered for a slow client; the backend is not read while the buffer is full.",
    ),
  sendTimeout: durationOrOff
    .prefault("60s")
    .describe(
      "End the stream (slow_client) if bytes are pending and the client took none of them for this long.",
    ),
  onClientGone: z
    .enum(["cancel", "drain"])
    .prefault("cancel")
    .describe("When the client leaves: cancel the backend request, or read it to its end."),
  onRefusal: z
    .enum(["status", "retry"])
    .prefault("status")
    .describe(
      "The response to a GET for text/event-stream in case of 429, 502, 503 or 504: that status, or (retry) a 200 that sends a reconnection time and ends at once, because an EventSource does not reconnect after any other status.",
    ),
  contentTypes: z
    .array(
      z
        .string()
        .regex(
          /^(?:\*|[\w.+-]+\/[\w.+-]+\*?)$/,
          "expected a media type such as application/x-ndjson, the beginning of media types such as application/grpc-web*, or *",
        )
        .toLowerCase(),
    )
    .prefault([...STREAMED_TYPES])
    .describe(
      "The media types of responses that are relayed as streams; a final * matches any ending, and * alone any response. A response with a Content-Length is a stream only if it is text/event-stream.",
    ),
});
