import * as z from "zod";
import { duration, durationOrOff } from "./scalars.ts";

/** How a gateway, or a route that was taken out, comes to its end. */
export const drainSchema = z
  .strictObject({
    delay: durationOrOff
      .prefault("off")
      .describe(
        "After SIGTERM: how long to go on accepting while /readyz says 503, for a load balancer to notice.",
      ),
    timeout: duration
      .prefault("30s")
      .describe(
        "From then on: streams are ended between two events, spread over this time; what is left at its end is broken off. For streams of a route that was removed, too.",
      ),
    retry: durationOrOff
      .prefault("3s")
      .describe("The reconnection time that an event stream is told before it is ended so; or off."),
  })
  .prefault({})
  .describe("How streams end on SIGTERM.");
