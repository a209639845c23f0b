import { createHash, timingSafeEqual } from "node:crypto";
import { fieldValues, type RawFields } from "../http/fields.ts";

/** Whether a request carries the bearer token with that digest. */
export function bearsToken(rawHeaders: RawFields, expected: Buffer): boolean {
  const fields = fieldValues(rawHeaders, "authorization");
  const token = /^Bearer +(\S+)$/i.exec(fields[0] ?? "")?.[1];
  return fields.length === 1 && token !== undefined && timingSafeEqual(digest(token), expected);
}

/** Returns the digest of a token: comparing digests takes the same time for any text. */
export const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
