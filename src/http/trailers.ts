import { HOP_BY_HOP, SET_BY_GATEWAY } from "./field-kinds.ts";
import { type FieldName, fieldName } from "./field-name.ts";
import { listItems, type RawFields } from "./fields.ts";
import { isFieldValue } from "./render-head.ts";

/** Fields that may not be trailers (RFC 9110 section 6.5.1): routing, credentials, framing, CORS. */
const NEVER_IN_TRAILERS: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "cookie",
  "date",
  "expires",
  "host",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "range",
  "retry-after",
  "set-cookie",
  "vary",
  "www-authenticate",
  "x-apig-appcode",
]);
const NEVER_IN_TRAILERS_PREFIXES = [
  "access-control-",
  "content-",
  "if-",
  "x-accel-",
  "x-forwarded-",
  "x-sdk-",
];

/** Returns the Trailer value that announces the trailers to forward; undefined without any. */
export function announcedTrailers(values: readonly string[]): string | undefined {
  if (values.length === 0) return undefined;
  const announced = listItems(values).filter((name) => mayTrail(fieldName(name).lower));
  return announced.length > 0 ? announced.join(", ") : undefined;
}

/**
 * Returns the trailers of a response to forward: never fields that route, authenticate or frame a message. One with a
 * control character is dropped, because Node's server throws on it; RFC 9110 section 6.5 lets a recipient discard
 * trailers.
 */
export function responseTrailers(raw: RawFields): string[] {
  return pick(raw, ({ lower }, value) => mayTrail(lower) && isFieldValue(value));
}

/**
 * Returns the trailers of a request to forward to its backend, without those for which `isTaken` is true.
 *
 * A CGI backend, and any backend that merges trailers into the head, reads them as header fields, past every check. So
 * names are compared as CGI reads them, and fields that the gateway sets or verifies are never forwarded as trailers. An
 * invalid trailer, which an HTTP/2 parser may accept, is dropped: RFC 9110 section 6.5 lets a recipient discard trailers.
 */
export function requestTrailers(raw: RawFields, isTaken: (name: FieldName) => boolean): string[] {
  return pick(raw, (name, value) => {
    return name.isToken && isFieldValue(value) && mayTrail(name.canonical) && !isTaken(name);
  });
}

function mayTrail(name: string): boolean {
  if (HOP_BY_HOP.has(name) || SET_BY_GATEWAY.has(name) || NEVER_IN_TRAILERS.has(name)) return false;
  return !NEVER_IN_TRAILERS_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function pick(raw: RawFields, isKept: (name: FieldName, value: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (isKept(fieldName(name), value)) kept.push(name, value);
  }
  return kept;
}
