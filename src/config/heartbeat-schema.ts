import * as z from "zod";
import { duration } from "./scalars.ts";

/** `stream.heartbeat` after validation; undefined if off. */
export interface HeartbeatConfig {
  /** The silence of the backend after which a heartbeat is sent, in ms. */
  readonly every: number;
  /** The type of the event to send; undefined for a comment line. */
  readonly event: string | undefined;
}

const EXPECTED = "expected a duration such as 15s, off, or an object with every and event";

/** `off`, a duration, or a duration with the type of an event. */
export const heartbeatSchema = z
  .union(
    [
      z.literal("off"),
      duration,
      z.strictObject({
        every: duration.describe("Send a heartbeat after this much silence, or up to 1/64 of it earlier."),
        event: z
          .string("expected an event type such as ping")
          .regex(
            /^[\x21-\x7e]{1,64}$/,
            "expected an event type such as ping: visible ASCII, at most 64 of them",
          )
          .optional()
          .describe(
            "The heartbeat is an event of this type, with the data {} and without an id, for clients that cannot see comments. Without it, a comment line.",
          ),
      }),
    ],
    EXPECTED,
  )
  .transform((value): HeartbeatConfig | undefined => {
    if (value === "off") return undefined;
    return typeof value === "number" ? { every: value, event: undefined } : { event: undefined, ...value };
  });

/** Returns the time between two heartbeats of a route, in ms; undefined if it sends none. */
export function heartbeatMs({
  heartbeat,
  comments,
}: {
  readonly heartbeat: HeartbeatConfig | undefined;
  readonly comments: "auto" | "on" | "off";
}): number | undefined {
  return comments === "off" && heartbeat?.event === undefined ? undefined : heartbeat?.every;
}
