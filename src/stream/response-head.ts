import { ownText } from "../base/own-text.ts";
import { debugFields } from "../exchange/debug.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { contentCoding } from "../http/content-coding.ts";
import {
  fieldValue,
  fieldValues,
  listItems,
  type RawFields,
  removeField,
  setField,
  withoutField,
} from "../http/fields.ts";
import { responseFields } from "../http/forwarded-fields.ts";
import { mediaType, mediaTypes } from "../http/media-type.ts";
import { isFieldValue } from "../http/render-head.ts";
import type { SourceHead } from "../http/source.ts";
import { mergeVary, withCors } from "../policy/cors.ts";
import { rewriteResponseFields } from "../upstream/response-fields.ts";

const EVENT_STREAM = "text/event-stream";

/** A response head as the client gets it. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Flat names and values. */
  readonly fields: string[];
}

/**
 * Whether a backend's response is relayed as a stream: its media type decides, not the method. A response of known
 * length is a file rather than a stream; an event stream with a length is a stream all the same, as clients of it are
 * promised comment lines.
 */
export function isStream(
  { request }: { readonly request: { readonly rawHeaders: RawFields } },
  { rawHeaders }: SourceHead,
  { config }: Route,
): boolean {
  const type = typeOf(rawHeaders, request.rawHeaders);
  if (!mediaTypes(config.stream.contentTypes)(type)) return false;
  return type === EVENT_STREAM || fieldValue(rawHeaders, "content-length") === undefined;
}

/**
 * Returns the media type of a response. tRPC sends a streamed batch as application/json, and its request names the real
 * type, application/jsonl.
 */
function typeOf(rawHeaders: RawFields, requestHeaders: RawFields): string {
  const type = mediaType(fieldValue(rawHeaders, "content-type"));
  const asked = type === "application/json" ? fieldValue(requestHeaders, "trpc-accept") : undefined;
  return asked === undefined ? type : mediaType(asked);
}

/** Whether a response is an event stream, whose boundaries between events take comment lines. */
export function isEventStream({ rawHeaders }: SourceHead): boolean {
  return mediaType(fieldValue(rawHeaders, "content-type")) === EVENT_STREAM;
}

/** Returns the backend's head without its hop-by-hop fields, with the route's edits and our own fields. */
export function ordinaryHead(exchange: Exchange, head: SourceHead, route: Route): ResponseHead {
  const { fields, trailer } = responseFields(head.rawHeaders, route.config.headers.response.accel);
  rewriteResponseFields(fields, exchange, route, head);
  if (trailer !== undefined && hasTrailers(exchange, head)) fields.push("Trailer", trailer);
  // RFC 9110 section 8.6: a 204 has no Content-Length, and an HTTP/2 client may take it for an error.
  if (head.status === 204) removeField(fields, "content-length");
  return finish(exchange, head, route, fields);
}

/** Whether trailer fields can follow: Node throws on a Trailer field if the response has no chunked body. */
function hasTrailers({ request }: Exchange, { status, rawHeaders }: SourceHead): boolean {
  const isBodyless = request.method === "HEAD" || status < 200 || status === 204 || status === 304;
  const isChunked = fieldValue(rawHeaders, "transfer-encoding") !== undefined;
  return isChunked && !isBodyless && request.httpVersion !== "1.0";
}

/**
 * Returns the head of a stream: that of an ordinary response, with what an event stream needs.
 *
 * `X-Accel-Buffering: no` turns buffering off in an nginx in front (ngx_http_proxy_module).
 */
export function streamHead(exchange: Exchange, head: SourceHead, route: Route): ResponseHead {
  const received = isEventStream(head) ? { ...head, rawHeaders: eventStreamFields(head) } : head;
  const done = ordinaryHead(exchange, received, route);
  setField(done.fields, "X-Accel-Buffering", "no");
  return done;
}

/**
 * Returns the backend's fields of an event stream: `no-transform` keeps compressors off, and a Content-Length is
 * removed, because sluice may add comment lines.
 */
function eventStreamFields(head: SourceHead): string[] {
  const fields = withoutField(head.rawHeaders, "content-length");
  if (contentCoding(head.rawHeaders) === undefined) removeField(fields, "content-encoding");
  setField(fields, "Cache-Control", streamCacheControl(fieldValues(fields, "cache-control")));
  return fields;
}

/** Values of Cache-Control with those of their streams: a few recur, and a backend that invents others empties the map. */
const cacheControls = new Map<string, string>();
const MOST_CACHE_CONTROLS = 100;
const LONGEST_CACHE_CONTROL = 100;

/** Returns the backend's Cache-Control directives with those that a stream needs. */
function streamCacheControl(values: readonly string[]): string {
  const received = values.join(",");
  const known = cacheControls.get(received);
  if (known !== undefined) return known;
  const completed = completeCacheControl(values);
  if (received.length > LONGEST_CACHE_CONTROL) return completed;
  if (cacheControls.size >= MOST_CACHE_CONTROLS) cacheControls.clear();
  cacheControls.set(ownText(received), completed);
  return completed;
}

function completeCacheControl(values: readonly string[]): string {
  const kept = listItems(values);
  const has = (name: string) => kept.some((directive) => directive.toLowerCase() === name);
  if (!has("no-cache") && !has("no-store")) kept.push("no-cache");
  if (!has("no-transform")) kept.push("no-transform");
  return kept.join(", ");
}

/** Returns the fields of a backend's interim response, as Early Hints, without those that frame or that are not allowed. */
export function interimFields(rawHeaders: SourceHead["rawHeaders"], { config }: Route): string[] {
  const { fields } = responseFields(rawHeaders);
  for (const name of ["Content-Length", ...config.headers.response.remove]) removeField(fields, name);
  return fields;
}

function finish(exchange: Exchange, head: SourceHead, route: Route, fields: string[]): ResponseHead {
  const { set, remove } = route.config.headers.response;
  let done = fields;
  for (const name of remove) removeField(done, name);
  for (const [name, value] of Object.entries(set)) setField(done, name, value);
  // Our fields come after the route's edits, which could otherwise remove Vary: Origin.
  if (route.cors !== undefined) done = withCors(done, route.cors.fields(exchange.request.rawHeaders));
  const { vary } = route.config;
  if (vary !== undefined) setField(done, "Vary", mergeVary(fieldValues(done, "vary"), vary));
  done.push(...exchange.addedFields);
  setField(done, "X-Request-Id", requestId(exchange, head, done));
  for (const [name, value] of exchange.account.reportFields) setField(done, name, value);
  const debugging = debugFields(exchange);
  for (const [name] of debugging) removeField(done, name);
  done.push(...debugging.flat());
  return { status: head.status, reason: reasonPhrase(head), fields: done };
}

/**
 * Returns the response's X-Request-Id: the backend's if it sent one, because a vendor's support asks for it, else ours.
 * The log line has both.
 */
function requestId({ account, id }: Exchange, { rawHeaders }: SourceHead, fields: readonly string[]): string {
  const backendId = fieldValue(rawHeaders, "x-request-id") ?? "";
  if (backendId !== "" && backendId !== id) account.foundBackendRequestId(backendId);
  return fieldValue(fields, "x-request-id") || id;
}

/** Drops a reason phrase with control characters: Node's client accepts them, and its server throws on them. */
function reasonPhrase({ reason }: SourceHead): string {
  return isFieldValue(reason) ? reason : "";
}
