import { type FieldName, fieldName } from "./field-name.ts";
import { fieldValue, fieldValues, type RawFields } from "./fields.ts";
import { announcedTrailers } from "./trailers.ts";

/**
 * Fields that a Connection field cannot remove. RFC 9110 drops every field that Connection lists; with `Connection:
 * close, Authorization` a client could then remove a field by which the gateway has authenticated, framed or routed the
 * request.
 */
const END_TO_END = new Set(["authorization", "cookie", "host", "origin", "set-cookie", "x-apig-appcode"]);

const NO_OPTIONS: ReadonlySet<string> = new Set();

const noneTaken = (): boolean => false;

/**
 * Returns the request fields to forward: without hop-by-hop fields, fields that Connection lists, and fields with which
 * a client could pose as the gateway. The caller adds the gateway's own fields.
 *
 * Names are compared as CGI backends read them (`FieldName.canonical`): such a backend cannot tell `X_Forwarded_For`
 * from `X-Forwarded-For`, nor `Content_Length` from the field that frames the body. `X-Forwarded-Prefix`
 * and others that the gateway does not always set are forwarded only from a trusted peer. `isTaken` tells which other
 * fields are not forwarded.
 */
export function requestFields(
  raw: RawFields,
  peer: { readonly isTrusted: boolean },
  isTaken: (name: FieldName) => boolean = noneTaken,
): string[] {
  const listed = connectionOptions(raw);
  const kept = pick(raw, (name) => {
    const { lower, canonical } = name;
    if (name.isOfGateway || listed.has(lower) || isTaken(name)) return false;
    if (canonical === "content-length") return canonical === lower;
    return !canonical.startsWith("x-forwarded-") || (peer.isTrusted && canonical === lower);
  });
  // Without `TE: trailers` a backend may leave trailers out, and gRPC refuses the request. The gateway forwards
  // trailers, so it asks for them; transfer codings in TE concern the client's connection only.
  if (fieldValue(raw, "te") !== undefined && hasToken(fieldValues(raw, "te"), "trailers"))
    kept.push("TE", "trailers");
  return kept;
}

/** The response fields to forward, and the Trailer value for a body that has trailers. */
export interface ResponseFields {
  readonly fields: string[];
  readonly trailer: string | undefined;
}

/**
 * Removes the hop-by-hop fields and the fields that Connection lists from a response and, unless `keepsAccel`, the
 * fields that would control an nginx in front (`FieldName.isAccel`).
 */
export function responseFields(raw: RawFields, keepsAccel = false): ResponseFields {
  const listed = connectionOptions(raw);
  const fields = pick(
    raw,
    ({ lower, isHopByHop, isAccel }) => !isHopByHop && (keepsAccel || !isAccel) && !listed.has(lower),
  );
  return { fields, trailer: announcedTrailers(fieldValues(raw, "trailer")) };
}

/** Returns the field names that Connection lists, in lower case, without those that it cannot remove. */
function connectionOptions(raw: RawFields): ReadonlySet<string> {
  if (fieldValue(raw, "connection") === undefined) return NO_OPTIONS;
  const options = new Set<string>();
  for (const value of fieldValues(raw, "connection")) {
    for (const item of value.split(",")) {
      const option = item.trim().toLowerCase();
      if (!isEndToEnd(option)) options.add(option);
    }
  }
  return options;
}

function isEndToEnd(lower: string): boolean {
  return END_TO_END.has(lower) || lower.startsWith("content-") || lower.startsWith("x-sdk-");
}

function hasToken(values: readonly string[], token: string): boolean {
  return values.some((value) => value.split(",").some((item) => item.trim().toLowerCase() === token));
}

function pick(raw: RawFields, isKept: (name: FieldName) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (isKept(fieldName(name))) kept.push(name, raw[i + 1] ?? "");
  }
  return kept;
}
