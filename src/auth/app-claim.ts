import { ProxyError } from "../base/errors.ts";
import { fieldName } from "../http/field-name.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { type AppAuthorization, parseAuthorization } from "./app-signature.ts";
import { type SignedParts, UNSIGNED_PAYLOAD } from "./canonical-request.ts";

/** What a request says of its APP signature; nothing of it is believed yet. */
export interface AppClaim {
  readonly authorization: AppAuthorization;
  readonly headers: SignedParts["headers"];
  readonly date: string;
  /** X-Sdk-Content-Sha256: the hash of the body, or UNSIGNED-PAYLOAD. */
  readonly declared: string | undefined;
}

const CONTENT_HASH = "x-sdk-content-sha256";

/** What the Connection field of a signed request may list; clients list one or two, and each takes a look-up. */
const MAX_OPTIONS = 32;

/** Whether a request carries an APP signature, well-formed or not. */
export function hasAppClaim(raw: RawFields): boolean {
  return fieldValues(raw, "authorization").some((value) => /^SDK-HMAC-SHA256(?![\w-])/i.test(value));
}

/**
 * Reads what carries the signature from the raw fields, because `headers` hides duplicates.
 *
 * Takes one look at each field, however many are signed, and computes nothing: what is wrong in the form is
 * refused before anything is paid for.
 */
export function readAppClaim(raw: RawFields): AppClaim {
  const [value = "", ...more] = fieldValues(raw, "authorization");
  if (more.length > 0) throw appRefusal("Authorization occurs twice");
  const authorization = parseAuthorization(value);
  if (authorization === undefined) throw appRefusal("Authorization is malformed");
  const { signedHeaders } = authorization;
  if (signedHeaders.length > raw.length / 2) throw appRefusal("more signed fields than there are");
  const headers = signedFields(raw, signedHeaders);
  const declared = declaredHash(raw);
  // Whoever could add this field to a signed request could otherwise replace its body.
  if (declared === UNSIGNED_PAYLOAD && !signedHeaders.includes(CONTENT_HASH)) {
    throw appRefusal("UNSIGNED-PAYLOAD is not signed itself");
  }
  const [, date = ""] = headers.find(([name]) => name === "x-sdk-date") ?? [];
  return { authorization, headers, date, declared };
}

/** The refusal of an APP signature: the reason for the log, and what a debugging client may read. */
export function appRefusal(reason: string, debugText: string = reason): ProxyError {
  return new ProxyError("auth_failed", reason, { debugText });
}

/**
 * The signed fields with their values. Each has to stand in the request once, in one spelling, and to travel on:
 * - of two, a backend may read the other one;
 * - a CGI backend cannot tell `X_Role`, which is not signed, from `X-Role`, which is;
 * - with `Connection: x-role`, which is not signed, somebody on the way could take `X-Role` off.
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
      throw appRefusal(`signed field ${spellings.get(canonical)} occurs in another spelling`);
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
