import type { JWTPayload } from "jose";

/** The fields a backend gets of a token's claims; a claim that is not there gives none. */
export function claimFields(
  payload: JWTPayload,
  claims: Readonly<Record<string, string>>,
): readonly (readonly [name: string, value: string])[] {
  return Object.entries(claims).flatMap(([name, claim]) => {
    // Own properties only: `constructor` is no claim.
    const value = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
    return value === undefined || value === null ? [] : [[name, fieldValueOf(claim, value)] as const];
  });
}

/** A claim that no field can hold as it is. */
export class ClaimError extends Error {}

/**
 * Text as it is, in UTF-8, anything else as JSON.
 *
 * A text is refused where a field would change it: a line break would begin another field, and parsers trim
 * blanks, which would make `admin ` somebody else.
 */
function fieldValueOf(claim: string, value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f]/.test(text) || text !== text.trim()) {
    throw new ClaimError(`the claim ${claim} does not fit into a header field`);
  }
  // Node writes each character as one byte; this makes them the bytes of UTF-8.
  return Buffer.from(text, "utf8").toString("latin1");
}
