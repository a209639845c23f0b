import type { CorsConfig } from "../config/route-schema.ts";
import type { Reply } from "../exchange/reply.ts";
import type { Cors } from "../exchange/route.ts";
import { fieldValue, fieldValues, listItems, type RawFields } from "../http/fields.ts";
import { compileOrigins, type OriginSet } from "./origin.ts";

type Fields = Reply["fields"];

/** A route's cross-origin policy, including its replies to preflights. */
export interface CorsPolicy extends Cors {
  /**
   * Replies to a preflight. A refused origin gets no Access-Control-Allow-Origin; if only the method or a header is
   * refused, the origin is named, so that browsers report which. Of the request only an allowed origin and valid field
   * names are echoed.
   */
  preflight(rawHeaders: RawFields): PreflightReply;
}

/** A reply to a preflight. */
export interface PreflightReply extends Reply {
  /** The reason of a refusal for the log, such as `the header x-a`; undefined if the preflight was allowed. */
  readonly refused?: string;
}

/** The list of the API gateway, and Last-Event-ID, without which a polyfill cannot resume. */
const SWITCH_ALLOW_HEADERS =
  "X-Stage,X-Sdk-Date,X-Sdk-Nonce,X-Proxy-Signed-Headers,X-Sdk-Content-Sha256,X-Forwarded-For,Authorization," +
  "Content-Type,Accept,Accept-Ranges,Cache-Control,Range,Last-Event-ID";
const SWITCH_EXPOSE_HEADERS =
  "X-Request-Id,X-Apig-Latency,X-Apig-Upstream-Latency,X-Apig-RateLimit-Api,X-Apig-RateLimit-User," +
  "X-Apig-RateLimit-App,X-Apig-RateLimit-Ip,X-Apig-RateLimit-Api-Allenv,Mcp-Session-Id,Retry-After,*";
const SWITCH_NAMES = new Set(SWITCH_ALLOW_HEADERS.toLowerCase().split(","));

/** Event stream clients other than the native EventSource send both, and neither is on Fetch's safelist. */
const ALWAYS_ALLOWED = ["Last-Event-ID", "Cache-Control"];
/** The response fields that browser SDKs of model vendors and of MCP read. */
const EXPOSED = ["X-Request-Id", "Mcp-Session-Id", "Retry-After"];
/**
 * Methods that pass a preflight which names the origin, even if its reply does not list them (Fetch section 4.8): to
 * refuse them, the reply must not name the origin.
 */
const SAFELISTED_METHODS = new Set(["GET", "HEAD", "POST"]);
/** Fetch forbids pages to use these methods in any case, even if a server allows them. */
const FORBIDDEN_METHODS = new Set(["CONNECT", "TRACE", "TRACK"]);

/** The fields of a feature of the route that pages need, whatever its `cors` lists. */
export interface NeededFields {
  /** Request fields. */
  readonly allow: readonly string[];
  /** Response fields. */
  readonly expose: readonly string[];
}

const NOTHING_NEEDED: NeededFields = { allow: [], expose: [] };

/**
 * Compiles `cors: true`, the switch of the API gateway, or a policy. Pages may read the response fields `exposed` too,
 * unless the policy lists those that they may read.
 */
export function createCors(
  config: true | CorsConfig,
  needed = NOTHING_NEEDED,
  exposed: readonly string[] = [],
): CorsPolicy {
  return config === true ? createSwitch(needed) : createPolicy(config, needed, exposed);
}

/** Whether a request is a preflight: only a preflight may be answered without credentials. */
export function isPreflight(method: string, rawHeaders: RawFields): boolean {
  return (
    method === "OPTIONS" &&
    fieldValue(rawHeaders, "origin") !== undefined &&
    fieldValue(rawHeaders, "access-control-request-method") !== undefined
  );
}

/** Whether the gateway replaces a backend's field of this name on a route with `cors`. */
export function isCorsField(lowerName: string): boolean {
  return lowerName.startsWith("access-control-");
}

/** Adds a name to Vary values and returns one value without duplicates; `*` replaces all names. */
export function mergeVary(existing: readonly string[], add: string): string {
  const names = new Map<string, string>();
  for (const name of listItems([...existing, add])) {
    if (name === "*") return "*";
    if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
  }
  return [...names.values()].join(", ");
}

/** Replaces the CORS fields of a backend's response with the route's, and merges the Vary fields into one. */
export function withCors(raw: RawFields, corsFields: Fields): string[] {
  const merged: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const lower = (raw[i] ?? "").toLowerCase();
    if (lower !== "vary" && !isCorsField(lower)) merged.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
  const varied = corsFields.filter(([name]) => name === "Vary").map(([, value]) => value);
  const vary = mergeVary(fieldValues(raw, "vary"), varied.join(","));
  if (vary !== "") merged.push("Vary", vary);
  for (const [name, value] of corsFields) if (name !== "Vary") merged.push(name, value);
  return merged;
}

/**
 * Whether a page of that origin may open a WebSocket. CORS itself does not protect upgrades, and browsers
 * send cookies with them.
 *
 * A request without Origin does not come from a browser. A route without `cors` admits any origin, as nginx
 * does. With `cors`, the origin must be allowed, or be that of the requested host; with http or https,
 * because a proxy in front may have terminated TLS.
 */
export function isUpgradeOriginAllowed(cors: Cors | undefined, rawHeaders: RawFields, host: string): boolean {
  const [origin, ...more] = fieldValues(rawHeaders, "origin");
  if (cors === undefined || origin === undefined) return true;
  if (more.length > 0) return false;
  return isOwnOrigin(origin, host) || cors.allowsOrigin(origin);
}

/** Whether an Origin is that of the requested host. */
export function isOwnOrigin(origin: string, host: string): boolean {
  const own = host.toLowerCase();
  return origin === `http://${own.replace(/:80$/, "")}` || origin === `https://${own.replace(/:443$/, "")}`;
}

/**
 * Allows any origin, without credentials. Only the reply to a preflight that asks for further headers depends on the
 * request.
 */
function createSwitch({ expose }: NeededFields): CorsPolicy {
  const origins = compileOrigins(["*"]);
  const fields: Fields = [
    ["Access-Control-Allow-Origin", "*"],
    ["Access-Control-Expose-Headers", [...expose, SWITCH_EXPOSE_HEADERS].join(",")],
  ];
  const replyWith = (more: readonly string[]): Reply => ({
    status: 200,
    fields: [
      ["Content-Type", "application/json"],
      ...fields,
      ["Access-Control-Allow-Headers", [SWITCH_ALLOW_HEADERS, ...more].join(",")],
      ["Access-Control-Allow-Methods", "GET,POST,PUT,DELETE,HEAD,OPTIONS,PATCH"],
      ["Access-Control-Max-Age", "172800"],
      ...(more.length === 0 ? [] : [["Vary", "Access-Control-Request-Headers"] as const]),
    ],
    body: "",
  });
  const usual = replyWith([]);

  function preflight(rawHeaders: RawFields): PreflightReply {
    const asked = askedHeaders(rawHeaders);
    if (asked.names === undefined) return { ...usual, refused: asked.refused };
    const more = asked.names.filter((name) => !SWITCH_NAMES.has(name));
    return more.length === 0 ? usual : replyWith(more);
  }

  return { preflight, fields: () => fields, allowsOrigin: origins.has };
}

function createPolicy(config: CorsConfig, needed: NeededFields, exposedToo: readonly string[]): CorsPolicy {
  const origins = compileOrigins(config.allowOrigins);
  const methods = new Set(config.allowMethods);
  const headers = compileHeaders(config.allowHeaders, needed.allow);
  const allowedMethods = ["Access-Control-Allow-Methods", config.allowMethods.join(", ")] as const;
  const maxAge = ["Access-Control-Max-Age", String(Math.floor(config.maxAge / 1000))] as const;
  const vary = preflightVary(config);
  const usual = [...EXPOSED, ...exposedToo];
  const { exposeHeaders: listed = config.allowCredentials ? usual : [...usual, "*"] } = config;
  const exposeHeaders = [...new Set([...needed.expose, ...listed])];
  const exposed: Fields =
    exposeHeaders.length === 0 ? [] : [["Access-Control-Expose-Headers", exposeHeaders.join(", ")]];

  function preflight(rawHeaders: RawFields): PreflightReply {
    const refuse = (refused: string, ...named: Fields) => {
      return { status: 204, fields: [...named, vary], body: "", refused };
    };
    const origin = grant(config, origins, rawHeaders);
    if (origin.length === 0) return refuse("the origin");
    const [method = "", ...more] = fieldValues(rawHeaders, "access-control-request-method");
    if (more.length > 0 || !isMethodAllowed(methods, method)) {
      const isNamed = more.length === 0 && isRefusable(method);
      return isNamed ? refuse(`the method ${method}`, ...origin, allowedMethods) : refuse("the method");
    }
    const { names, value, refused } = headers.answer(rawHeaders);
    const allowedHeaders = ["Access-Control-Allow-Headers", value] as const;
    if (names === undefined) return refuse(refused, ...origin, allowedMethods, allowedHeaders);
    const fields = [...origin, allowedMethods, allowedHeaders, maxAge];
    return { status: 204, fields: [...fields, ...privateNetwork(config, rawHeaders), vary], body: "" };
  }

  function fields(rawHeaders: RawFields): Fields {
    // The same for every origin, so the reply does not name the request's origin, and caches need no Vary.
    if (origins.isAny) return [["Access-Control-Allow-Origin", "*"], ...exposed];
    const origin = grant(config, origins, rawHeaders);
    return origin.length > 0 ? [...origin, ...exposed, ["Vary", "Origin"]] : [["Vary", "Origin"]];
  }

  return { preflight, fields, allowsOrigin: origins.has };
}

/** Returns the fields that admit the request's origin; none if it is not allowed. */
function grant(config: CorsConfig, origins: OriginSet, rawHeaders: RawFields): Fields {
  const [origin, ...more] = fieldValues(rawHeaders, "origin");
  // Two fields, like a list in one, are not an origin: another reader could take the other value.
  if (origin === undefined || more.length > 0 || !origins.has(origin)) return [];
  if (origins.isAny) return [["Access-Control-Allow-Origin", "*"]];
  if (!config.allowCredentials) return [["Access-Control-Allow-Origin", origin]];
  // Any sandboxed frame has the origin null. The schema already refuses `null` with credentials; this is the
  // second check.
  if (origin === "null") return [];
  return [
    ["Access-Control-Allow-Origin", origin],
    ["Access-Control-Allow-Credentials", "true"],
  ];
}

// Methods are compared with their case (Fetch section 2.2.1): `patch` is not `PATCH`.
function isMethodAllowed(allowed: ReadonlySet<string>, method: string): boolean {
  if (FORBIDDEN_METHODS.has(method.toUpperCase())) return false;
  return allowed.has(method) || (allowed.has("*") && TOKEN.test(method));
}

/** Whether browsers refuse a method that the reply does not list. */
function isRefusable(method: string): boolean {
  const isShort = method.length <= MAX_NAME_LENGTH && TOKEN.test(method);
  return isShort && !SAFELISTED_METHODS.has(method) && !FORBIDDEN_METHODS.has(method.toUpperCase());
}

/** A token (RFC 9110, section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
/** The bounds of the field names that are echoed; the requests of browsers have fewer and shorter ones. */
const MAX_NAMES = 64;
const MAX_NAME_LENGTH = 128;

type AskedHeaders =
  | { readonly names: readonly string[]; readonly refused?: undefined }
  | { readonly names: undefined; readonly refused: string };

/** Returns the field names that a preflight asks for, in lower case; refuses invalid ones, and too many or too long ones. */
function askedHeaders(rawHeaders: RawFields): AskedHeaders {
  const names = new Set<string>();
  for (const item of listItems(fieldValues(rawHeaders, "access-control-request-headers"))) {
    const name = item.toLowerCase();
    if (name.length > MAX_NAME_LENGTH || !TOKEN.test(name))
      return { names: undefined, refused: "an invalid header name" };
    names.add(name);
    if (names.size > MAX_NAMES) return { names: undefined, refused: `more than ${MAX_NAMES} headers` };
  }
  return { names: [...names] };
}

interface AllowedHeaders {
  /** Returns the names that a preflight asks for, or what is refused, and the value of Access-Control-Allow-Headers. */
  answer(rawHeaders: RawFields): AskedHeaders & { readonly value: string };
}

/** Compiles `allowHeaders`; undefined allows what a preflight asks for. */
function compileHeaders(allowed: readonly string[] | undefined, needed: readonly string[]): AllowedHeaders {
  const names = new Map(
    [...(allowed ?? []), ...needed, ...ALWAYS_ALLOWED].map((name) => [name.toLowerCase(), name]),
  );
  const list = [...names.values()].join(", ");

  function isAllowed(name: string): boolean {
    // `*` does not cover Authorization (Fetch section 4.9, the non-wildcard request-header name).
    return names.has(name) || (names.has("*") && name !== "authorization");
  }

  function answer(rawHeaders: RawFields): AskedHeaders & { readonly value: string } {
    const asked = askedHeaders(rawHeaders);
    if (asked.names === undefined) return { ...asked, value: list };
    if (allowed === undefined)
      return { ...asked, value: [list, ...asked.names.filter((name) => !names.has(name))].join(", ") };
    const refused = asked.names.find((name) => !isAllowed(name));
    if (refused === undefined) return { ...asked, value: list };
    return { names: undefined, refused: `the header ${refused}`, value: list };
  }

  return { answer };
}

function preflightVary({ allowPrivateNetwork }: CorsConfig): readonly [string, string] {
  const names = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"];
  if (allowPrivateNetwork) names.push("Access-Control-Request-Private-Network");
  return ["Vary", names.join(", ")];
}

/** Returns the field that lets a public page send requests into a private network, only if the route allows it. */
function privateNetwork(config: CorsConfig, rawHeaders: RawFields): Fields {
  const isAsked = fieldValue(rawHeaders, "access-control-request-private-network") === "true";
  return isAsked && config.allowPrivateNetwork ? [["Access-Control-Allow-Private-Network", "true"]] : [];
}
