import * as z from "zod";
import { duration } from "./scalars.ts";

/** The `auth.ticket` of a route. */

export const ticketSchema = z.strictObject({
  ttl: duration
    .refine((ms) => ms >= 1000, "expected at least 1s")
    .prefault("30s")
    .describe("How long an unused ticket is valid."),
  limit: z
    .int()
    .min(1)
    .max(1_000_000)
    .prefault(10_000)
    .describe("The maximum number of unused tickets; 429 beyond."),
});

/** A route's `auth.ticket` after validation. */
export type TicketConfig = z.output<typeof ticketSchema>;
