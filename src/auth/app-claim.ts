import { ProxyError } from "../base/errors.ts";
import { fieldName } from "../http/field-name.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { type AppAuthorization, parseAuthorization } from "./app-signature.ts";
import { type SignedParts, UNSIGNED_PAYLOAD } from "./canonical-request.ts";

/** The unverified content of a request's APP signature. */
export interface AppClaim {
  readonly authorization: AppAuthorization;
  readonly headers: SignedParts["headers"];
  readonly date: string;
  /** X-Sdk-Content-Sha256: the hash of the body, or UNSIGNED-PAYLOAD. */
  readonly declared: string | undefined;
}

const CONTENT_HASH = "x-sdk-content-sha256";

/**
 * How many options the Connection field of a signed request may list; clients list one or two, and each costs a
 * lookup.
 */
const MAX_OPTIONS = 32;

/** Whether a request carries an APP signature, well-formed or not. */
export function hasAppClaim(raw: RawFields): boolean {
  return fieldValues(raw, "authorization").some((value) => /^SDK-HMAC-SHA256(?![\w-])/i.test(value));
}

/**
 * Reads the signature from the raw fields, because `headers` hides duplicates.
 *
 * Reads each field once, however many are signed, and computes nothing: a malformed signature is refused before it
 * costs anything.
 */
export function readAppClaim(raw: RawFields): AppClaim {
  const [value = "", ...more] = fieldValues(raw, "authorization");
  if (more.length > 0) throw appRefusal("Authorization occurs twice");
  const authorization = parseAuthorization(value);
  if (authorization === undefined) throw appRefusal("Authorization is malformed");
  const { signedHeaders } = authorization;
  if (signedHeaders.length > raw.length / 2) throw appRefusal("more signed fields than the request has");
  const headers = signedFields(raw, signedHeaders);
  const declared = declaredHash(raw);
  // Otherwise anyone able to add this field to a signed request could replace the body.
  if (declared === UNSIGNED_PAYLOAD && !signedHeaders.includes(CONTENT_HASH)) {
    throw appRefusal("X-Sdk-Content-Sha256 is UNSIGNED-PAYLOAD, but not signed");
  }
  const [, date = ""] = headers.find(([name]) => name === "x-sdk-date") ?? [];
  return { authorization, headers, date, declared };
}

/** Returns the refusal of an APP signature: `reason` is for the log, `debugText` for a client that may debug. */
export function appRefusal(reason: string, debugText: string = reason): ProxyError {
  return new ProxyError("auth_failed", reason, { debugText });
}

/**
 * Returns the signed fields with their values. Each must be in the request once, in one spelling, and must be
 * forwarded:
 * - of two fields, a backend may read the other one;
 * - a CGI backend cannot distinguish `X_Role`, which is not signed, from `X-Role`, which is;
 * - with an unsigned `Connection: x-role`, an intermediary could remove `X-Role`.
 */
function signedFields(raw: RawFields, names: readonly string[]): SignedParts["headers"] {
  const signed = new Set(names);
  const spellings = new Map(names.map((name) => [fieldName(name).canonical, name]));
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const { lower, canonical } = fieldName(raw[at] ?? "");
    const value = raw[at + 1] ?? "";
    if (signed.has(lower)) {
      if (values.has(lower)) throw appRefusal(`signed field ${lower} occurs twice`);
      values.set(lower, value);
    } else if (spellings.has(canonical)) {
      throw appRefusal(`signed field ${spellings.get(canonical)} also occurs in another spelling`);
    }
  }
  checkConnection(raw, spellings);
  return names.map((name) => {
    const value = values.get(name);
    if (value === undefined) throw appRefusal(`signed field ${name} is missing`);
    return [name, value] as const;
  });
}

function checkConnection(raw: RawFields, spellings: ReadonlyMap<string, string>): void {
  const options = fieldValues(raw, "connection")
    .join(",")
    .split(",", MAX_OPTIONS + 1);
  if (options.length > MAX_OPTIONS) throw appRefusal("Connection lists too many fields");
  for (const option of options) {
    const name = spellings.get(fieldName(option.trim()).canonical);
    if (name !== undefined) throw appRefusal(`signed field ${name} is listed in Connection`);
  }
}

function declaredHash(raw: RawFields): string | undefined {
  const [declared, ...more] = fieldValues(raw, CONTENT_HASH);
  if (more.length > 0) throw appRefusal(`${CONTENT_HASH} occurs twice`);
  return declared;
}
