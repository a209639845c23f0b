import * as z from "zod";
import { cidr } from "./scalars.ts";

/** Which client addresses a route serves. */
export const accessSchema = z.strictObject({
  allow: z
    .array(cidr)
    .prefault([])
    .describe("Client addresses that may come in, as CIDR ranges; when there are any, nobody else may."),
  deny: z.array(cidr).prefault([]).describe("Client addresses that may not, whatever allow says."),
});

export type AccessConfig = z.output<typeof accessSchema>;
