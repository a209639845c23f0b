import { type FieldName, fieldName } from "./field-name.ts";

/**
 * Header fields as they came off the wire: name, value, name, value… Order, case and duplicates are
 * kept, because a joined or re-ordered head is a head that two parsers can read in two ways.
 */
export type RawFields = readonly string[];

/** Fields of one connection (RFC 9110 section 7.6.1), with the old ones that are still seen. */
const HOP_BY_HOP = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  // Node throws on Trailer unless the body is chunked: whoever sends trailers on announces them again.
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Fields of a request that are the gateway's to set or to answer; what came under these names goes. */
const SET_BY_GATEWAY = new Set([
  // The gateway itself answers 100-continue, so a second hop must not be asked for it again.
  "expect",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);

/**
 * Fields that a Connection field cannot remove. RFC 9110 says to drop what it lists; but
 * `Connection: close, Authorization` would then let a client take away what a request was authenticated
 * with, framed by or routed on, after the gateway had looked at it.
 */
const END_TO_END = new Set(["authorization", "cookie", "host", "origin", "set-cookie", "x-apig-appcode"]);

/** Fields that may not come late (RFC 9110 section 6.5.1): routing, credentials, framing, CORS. */
const NEVER_IN_TRAILERS = new Set([
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

const NO_OPTIONS: ReadonlySet<string> = new Set();

/** The first value of a field, which is named in lower case. */
export function fieldValue(raw: RawFields, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) return raw[i + 1];
  return undefined;
}

/** Every value of a field, which is named in lower case, one per field line. */
export function fieldValues(raw: RawFields, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) values.push(raw[i + 1] ?? "");
  return values;
}

/** A copy in which the field stands once, at the place of the first of that name or at the end. */
export function setField(raw: RawFields, name: string, value: string): string[] {
  const lowerName = name.toLowerCase();
  const copy: string[] = [];
  let isSet = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i], lowerName)) copy.push(raw[i] ?? "", raw[i + 1] ?? "");
    else if (!isSet) isSet = copy.push(name, value) > 0;
  }
  if (!isSet) copy.push(name, value);
  return copy;
}

/** A copy without any field of that name, whatever its case. */
export function removeField(raw: RawFields, name: string): string[] {
  const lowerName = name.toLowerCase();
  const copy: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i], lowerName)) copy.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
  return copy;
}

/**
 * The fields of a request that may travel on: no hop-by-hop fields, none the Connection field lists, and
 * none with which a client could pose as the gateway. The gateway's own are to be added afterwards.
 *
 * Names are also compared with `_` and `.` read as `-`, because CGI and WSGI backends cannot tell
 * `X_Forwarded_For` from `X-Forwarded-For`. `X-Forwarded-Port`, `-Prefix` and the like, which the gateway
 * does not set, pass only from a trusted peer.
 */
export function requestFields(raw: RawFields, peer: { readonly isTrusted: boolean }): string[] {
  const listed = connectionOptions(raw);
  const kept = pick(raw, ({ lower, canonical }) => {
    if (HOP_BY_HOP.has(canonical) || SET_BY_GATEWAY.has(canonical) || listed.has(lower)) return false;
    return !canonical.startsWith("x-forwarded-") || (peer.isTrusted && canonical === lower);
  });
  // A backend may withhold trailers, and gRPC refuses to answer, unless the request says that they are
  // welcome. They are: the gateway passes them on. Transfer codings in TE were for this hop only.
  if (fieldValue(raw, "te") !== undefined && hasToken(fieldValues(raw, "te"), "trailers"))
    kept.push("TE", "trailers");
  return kept;
}

/** The fields of a response that may travel on, and the Trailer value for a body that has trailers. */
export interface ResponseFields {
  readonly fields: string[];
  readonly trailer: string | undefined;
}

/** Takes the hop-by-hop fields and those the Connection field lists off a response. */
export function responseFields(raw: RawFields): ResponseFields {
  const listed = connectionOptions(raw);
  const fields = pick(raw, ({ lower }) => !HOP_BY_HOP.has(lower) && !listed.has(lower));
  const trailer = fieldValue(raw, "trailer") === undefined ? undefined : announcedTrailers(raw);
  return { fields, trailer };
}

function announcedTrailers(raw: RawFields): string | undefined {
  const announced = fieldValues(raw, "trailer")
    .flatMap((value) => value.split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "" && mayTrail(fieldName(name)));
  return announced.length > 0 ? announced.join(", ") : undefined;
}

/** The trailers that may travel on: never what would have routed, authenticated or framed as a header. */
export function forwardableTrailers(raw: RawFields): string[] {
  return pick(raw, mayTrail);
}

function mayTrail({ lower }: FieldName): boolean {
  if (HOP_BY_HOP.has(lower) || SET_BY_GATEWAY.has(lower) || NEVER_IN_TRAILERS.has(lower)) return false;
  return !NEVER_IN_TRAILERS_PREFIXES.some((prefix) => lower.startsWith(prefix));
}

/** Flat fields as pairs, for the Node APIs that want them so. */
export function pairs(raw: RawFields): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return list;
}

/** What the Connection fields list, in lower case, less what they cannot remove. */
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

// The length is compared first, so that a look-up lower-cases next to nothing.
function isNamed(name: string | undefined, lowerName: string): boolean {
  return name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName;
}
