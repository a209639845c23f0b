import type { JWTPayload } from "jose";

/** Returns the fields that tell a backend the claims of a token; a missing claim adds no field. */
export function claimFields(
  payload: JWTPayload,
  claims: Readonly<Record<string, string>>,
): readonly (readonly [name: string, value: string])[] {
  return Object.entries(claims).flatMap(([name, claim]) => {
    // Own properties only: `constructor` is not a claim.
    const value = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
    return value === undefined || value === null ? [] : [[name, fieldValueOf(claim, value)] as const];
  });
}

/** A claim that a field cannot carry unchanged. */
export class ClaimError extends Error {}

/**
 * Returns a text in UTF-8, any other value as JSON.
 *
 * Throws for a text that a field would change: a line break would begin another field, and parsers trim
 * spaces, so that `admin ` would become another user.
 */
function fieldValueOf(claim: string, value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f]/.test(text) || text !== text.trim()) {
    throw new ClaimError(`the claim ${claim} does not fit into a header field`);
  }
  // Node writes each character as one byte, so the text becomes its bytes of UTF-8.
  return Buffer.from(text, "utf8").toString("latin1");
}
