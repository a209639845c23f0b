import { payloadHash, UNSIGNED_PAYLOAD } from "../auth/canonical-request.ts";
import { type SigningKey, signRequest } from "../auth/sign-request.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldName } from "../http/field-name.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { bodyFraming } from "./dial.ts";

/**
 * Returns a request's fields with our own signature, for a backend that accepts requests from the gateway only.
 *
 * The signature is made last, over what is sent: the rewritten path, the Host that the backend sees, and the identity
 * fields. A streamed body cannot be hashed before it is sent, so it is not signed.
 */
export function signedFields(
  unsigned: RawFields,
  target: string,
  exchange: Exchange,
  key: SigningKey,
): string[] {
  const fields = withoutSignature(unsigned);
  const framing = bodyFraming(exchange);
  const isStreaming = framing === "length" || framing === "chunked";
  if (isStreaming) fields.push("X-Sdk-Content-Sha256", UNSIGNED_PAYLOAD);
  const identity = (exchange.principal?.fields ?? []).map(([name]) => name.toLowerCase());
  const names = identity.filter((name) => fieldValues(fields, name).length === 1);
  const payload = isStreaming ? UNSIGNED_PAYLOAD : (exchange.body?.hash ?? payloadHash(""));
  const method = exchange.request.method ?? "";
  if (isStreaming) names.push("x-sdk-content-sha256");
  const own = signRequest(key, { method, target, fields, payload }, names);
  return [...fields, ...own.flat()];
}

/** Returns the fields without a client's own signature, which the backend could read as ours, and without its twins. */
function withoutSignature(fields: RawFields): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const { canonical: name } = fieldName(fields[at] ?? "");
    if (name === "authorization" || name.startsWith("x-sdk-")) continue;
    kept.push(fields[at] ?? "", fields[at + 1] ?? "");
  }
  return kept;
}
