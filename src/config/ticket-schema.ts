import * as z from "zod";
import { duration } from "./scalars.ts";

/** The `auth.ticket` of a route. */

export const ticketSchema = z.strictObject({
  ttl: duration
    .refine((ms) => ms >= 1000, "expected at least 1s")
    .prefault("30s")
    .describe("How long a ticket may wait to be used."),
  limit: z
    .int()
    .min(1)
    .max(1_000_000)
    .prefault(10_000)
    .describe("The most tickets that wait to be used; 429 beyond."),
});

/** A route's `auth.ticket` after validation. */
export type TicketConfig = z.output<typeof ticketSchema>;
