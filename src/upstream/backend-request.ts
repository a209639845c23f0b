import { isIP } from "node:net";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { fieldValue, type RawFields, removeField, setField } from "../http/fields.ts";
import { requestFields } from "../http/forwarded-fields.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { routingPath } from "../http/routing-path.ts";
import type { Backend } from "./backend.ts";
import { type BackendRequest, bodyFraming } from "./dial.ts";
import { withoutTwinsOfEdits } from "./edited-fields.ts";
import { withIdentity, withoutIdentity } from "./identity-fields.ts";
import { signedFields } from "./signed-fields.ts";
import type { Upstream } from "./upstream.ts";

/** Methods whose requests have no body unless framing fields say so, in Node and elsewhere. */
const BODYLESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);

/** Fields that make a backend respond with a part of a stream, or without a body. */
const CONDITIONAL = ["Range", "If-Range", "If-None-Match", "If-Modified-Since"];

/** Returns the request for one backend: the path rewritten by the route, the same query, and fields it can trust. */
export function createBackendRequest(
  exchange: Exchange,
  route: Route,
  upstream: Upstream,
  backend: Backend,
): BackendRequest {
  const { request, target, client } = exchange;
  const { config } = route;
  const passable = withoutTwinsOfEdits(requestFields(request.rawHeaders, client), route);
  let fields = withIdentity(passable, exchange, route);
  if (!upstream.preservesHost || exchange.host === "") {
    fields = setField(fields, "Host", backend.address.authority);
  }
  if (acceptsEventStream(fields)) {
    for (const name of CONDITIONAL) fields = removeField(fields, name);
    fields = setField(fields, "Accept-Encoding", "identity");
  }
  fields.push(...forwardingFields(exchange));
  const { lastEventId } = exchange;
  if (lastEventId !== undefined && fieldValue(fields, "last-event-id") === undefined) {
    fields.push("Last-Event-ID", lastEventId);
  }
  if (request.method === "OPTIONS") fields = withOneForwardLess(fields);
  for (const name of config.headers.request.remove) fields = removeField(fields, name);
  for (const [name, value] of Object.entries(config.headers.request.set))
    fields = setField(fields, name, value);
  const path = rewritten(target.path, config.rewrite) + target.query;
  const passing = { route: config.name, method: request.method, target: path };
  // After the fields that the route removes: without the mark a loop has no end.
  fields = upstream.loops.mark(fields, request.rawHeaders, passing);
  fields.push(...framingFields(exchange, fields));
  return {
    path,
    fields: upstream.signingKey ? signedFields(fields, path, exchange, upstream.signingKey) : fields,
    trailersOf: (raw) => withoutIdentity(raw, exchange, route),
    onClientGone: config.stream.onClientGone,
  };
}

/** Returns the fields of an OPTIONS with Max-Forwards counted down (RFC 9110 section 7.6.2); the gateway answers 0 itself. */
function withOneForwardLess(fields: string[]): string[] {
  const left = fieldValue(fields, "max-forwards");
  if (left === undefined || !/^[1-9]\d{0,8}$/.test(left)) return fields;
  return setField(fields, "Max-Forwards", String(Number(left) - 1));
}

/** Returns the fields that tell the backend the client and the request id. */
function forwardingFields({ id, client }: Exchange): string[] {
  const fields = ["X-Request-Id", id];
  // The request for a shared stream belongs to no single client.
  if (client.forwardedFor !== "") fields.push("X-Forwarded-For", client.forwardedFor);
  fields.push("X-Forwarded-Proto", client.proto);
  // The peer of a unix socket has no address, and a shared stream has no client.
  if (isIP(client.address) !== 0) fields.push("X-Real-IP", client.address);
  if (client.host !== "") fields.push("X-Forwarded-Host", client.host);
  return fields;
}

/** Returns the framing fields of the request: renderRequest adds none. */
function framingFields(exchange: Exchange, fields: RawFields): string[] {
  const framing = bodyFraming(exchange);
  if (framing === "chunked") return ["Transfer-Encoding", "chunked"];
  if (fieldValue(fields, "content-length") !== undefined) return [];
  if (framing === "buffered") return ["Content-Length", String(exchange.body?.length)];
  return framing === "none" && !BODYLESS.has(exchange.request.method ?? "") ? ["Content-Length", "0"] : [];
}

/** Returns a path without `stripPrefix`, which ends at a segment boundary as routing reads it, and with `addPrefix`. */
export function rewritten(
  path: string,
  { stripPrefix, addPrefix }: { stripPrefix: string; addPrefix: string },
): string {
  if (stripPrefix === "") return addPrefix + path;
  const segments = path.split("/");
  const end = endOfPrefix(segments, routingPath(stripPrefix).split("/").filter(isNamed));
  return addPrefix + (end === undefined ? path : `/${segments.slice(end).join("/")}`);
}

const isNamed = (segment: string): boolean => segment !== "";

/**
 * Returns the index of the first segment behind a prefix, with slashes in a row read as one; undefined if the path
 * does not begin with it.
 */
function endOfPrefix(segments: readonly string[], prefix: readonly string[]): number | undefined {
  let at = 0;
  for (const wanted of prefix) {
    while (segments[at] === "") at++;
    if (routingPath(segments[at] ?? "") !== wanted) return undefined;
    at++;
  }
  return at;
}
