import * as z from "zod";
import { cidr } from "./scalars.ts";

/** The `access` of a route: the client addresses that may use it. */
export const accessSchema = z.strictObject({
  allow: z
    .array(cidr)
    .prefault([])
    .describe("Client addresses that may use the route, as CIDR ranges; empty: all addresses."),
  deny: z
    .array(cidr)
    .prefault([])
    .describe("Client addresses that may not use the route, even if allow contains them."),
});

export type AccessConfig = z.output<typeof accessSchema>;
