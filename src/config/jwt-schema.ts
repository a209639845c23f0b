import * as z from "zod";
import { durationOrOff, editableField, token } from "./scalars.ts";

/** The `auth.jwt` of a route. */

/**
 * Signatures with a public key only. HS256 is missing on purpose: an attacker could sign a token with the public key as
 * the shared secret (RFC 8725, section 2.1).
 */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

const EXPECTED_JWKS = "expected a URL such as https://id.example.com/jwks.json, or the path of a file";

const jwks = z
  .string(EXPECTED_JWKS)
  .min(1, EXPECTED_JWKS)
  .superRefine((place, ctx) => {
    if (!/^[a-z][a-z0-9+.-]*:/i.test(place)) return;
    const url = URL.canParse(place) ? new URL(place) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) ctx.addIssue(EXPECTED_JWKS);
    else if (url.username !== "" || url.password !== "") ctx.addIssue("expected a URL without credentials");
  });

const name = z.string().min(1, "expected a text that is not empty");

/**
 * A field that a claim may set; fields with credentials, or with the origin and the target of a request, are refused.
 */
const claimField = editableField.regex(
  /^(?!(?:authorization|cookie|host|forwarded|x[^0-9A-Za-z]forwarded[^0-9A-Za-z].*|x[^0-9A-Za-z]real[^0-9A-Za-z]ip|x[^0-9A-Za-z]request[^0-9A-Za-z]id)$)/i,
  "expected no field that carries credentials or that the gateway sets itself",
);

export const jwtSchema = z.strictObject({
  issuer: name.describe("The required value of the iss claim."),
  audience: z
    .union(
      [name, z.array(name).min(1, "expected at least one audience")],
      "expected a text, or a list of them",
    )
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .describe("The audience that the aud claim must contain; of a list, at least one."),
  jwks: jwks.describe(
    "The issuer's public keys: a URL or a file, which must be readable when the gateway starts.",
  ),
  header: token.prefault("Authorization").describe("The field with the token; it may start with Bearer."),
  cookie: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "expected the name of a cookie")
    .optional()
    .describe("A cookie with the token, used if no other credential is sent."),
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1, "expected at least one algorithm")
    .prefault([...ALGORITHMS])
    .describe("The accepted signature algorithms."),
  clockTolerance: durationOrOff.prefault("off").describe("How far the issuer's clock may differ."),
  claims: z
    .record(claimField, name)
    .prefault({})
    .describe("Fields for the backend, each with the claim for its value: X-User: sub."),
});

/** A route's `auth.jwt` after validation. */
export type JwtConfig = z.output<typeof jwtSchema>;
