import type * as z from "zod";
import { token } from "./scalars.ts";

/** The parts of a request that keys are made of: of a shared stream, and of a named answer. */

const HEADER = /^header:/i;

/** Fields that frame a request or that only the gateway sets: a client must not choose their values. */
const RESERVED =
  /^(?:accept-encoding|connection|content-.*|expect|host|keep-alive|last-event-id|proxy-.*|te|trailer|transfer-encoding|upgrade|forwarded|x-forwarded-.*|x-real-ip|x-request-id)$/i;

/** Returns the pattern of a part for the JSON Schema: one of `words`, or a field. */
export const keyPartPattern = (...words: readonly string[]): string =>
  `^(${words.join("|")}|header:[!#$%&'*+.^_\`|~0-9A-Za-z-]+)$`;

/** Reads `header:NAME`, and returns it in lower case; `expected` is the problem of any other text. */
export function clientHeaderPart(part: string, expected: string, ctx: z.RefinementCtx): string {
  const name = part.replace(HEADER, "");
  if (!HEADER.test(part) || !token.safeParse(name).success) ctx.addIssue(expected);
  else if (RESERVED.test(name)) ctx.addIssue(`expected a field that clients may choose, not ${name}`);
  return `header:${name.toLowerCase()}`;
}
