import { createSecretKey, type KeyObject } from "node:crypto";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { spellAuthorization, spellSdkDate } from "./app-signature.ts";
import { canonicalQuery, readParameters } from "./canonical-query.ts";
import { canonicalRequest, signatureOf } from "./canonical-request.ts";

/** The key that signs. */
export interface SigningKey {
  readonly key: string;
  readonly secret: KeyObject;
}

/** Creates a key from the configuration or the command line. */
export function createSigningKey({ key, secret }: { key: string; secret: string }): SigningKey {
  return { key, secret: createSecretKey(secret, "utf8") };
}

/** A request as it is sent, without its signature. */
export interface UnsignedRequest {
  readonly method: string;
  /** Includes the query. */
  readonly target: string;
  /** Includes Host; values as latin1. */
  readonly fields: RawFields;
  /** The hash of the body in hex; or UNSIGNED-PAYLOAD, which `fields` must then contain, too. */
  readonly payload: string;
}

/** Returns X-Sdk-Date and Authorization for a request. The fields in `names` are signed; names in lower case. */
export function signRequest(
  { key, secret }: SigningKey,
  { method, target, fields, payload }: UnsignedRequest,
  names: readonly string[],
  now: number = Date.now(),
): readonly (readonly [name: string, value: string])[] {
  const date = spellSdkDate(now);
  const all: RawFields = [...fields, "X-Sdk-Date", date];
  const signedHeaders = [...new Set([...names, "host", "x-sdk-date"])].sort();
  const headers = signedHeaders.map((name) => [name, fieldValues(all, name)[0] ?? ""] as const);
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  // No limit: the gateway and its command line sign only their own requests.
  const parameters = readParameters(mark < 0 ? "" : target.slice(mark + 1), Number.POSITIVE_INFINITY) ?? [];
  const query = canonicalQuery(parameters);
  const canonical = canonicalRequest({ method, path, headers, payload }, query);
  const signature = signatureOf(canonical, date, secret);
  return [
    ["X-Sdk-Date", date],
    ["Authorization", spellAuthorization({ key, signedHeaders, signature })],
  ];
}
