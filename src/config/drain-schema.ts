import * as z from "zod";
import { duration, durationOrOff } from "./scalars.ts";

/** The `drain` of sluice.yaml: how the streams of a stopping gateway, or of a removed route, end. */
export const drainSchema = z
  .strictObject({
    delay: durationOrOff
      .prefault("off")
      .describe(
        "After SIGTERM: how long to accept connections while /readyz says 503, so that a load balancer notices.",
      ),
    timeout: duration
      .prefault("30s")
      .describe(
        "After that: how long to end streams between two events, spread over this time. Streams left at its end are aborted; streams of clients that do not reconnect (all but GET that accepts text/event-stream) have all this time. Also for the streams of a removed route.",
      ),
    retry: durationOrOff
      .prefault("3s")
      .describe("The reconnection time to send to an event stream before its end; or off."),
  })
  .prefault({})
  .describe("How streams end on SIGTERM.");
