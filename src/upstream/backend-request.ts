import { isIP } from "node:net";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { withoutCookie } from "../http/cookie.ts";
import { fieldValue, removeField, setField } from "../http/fields.ts";
import { requestFields } from "../http/forwarded-fields.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import type { Backend } from "./backend.ts";
import { rewriteDestination } from "./destination.ts";
import { type BackendRequest, bodyFraming } from "./dial.ts";
import { setValue, withoutTwinsOfEdits } from "./edited-fields.ts";
import { takenNames, withIdentity, withoutIdentity } from "./identity-fields.ts";
import { backendPath, strippedPrefix } from "./path-rewrite.ts";
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
  const passable = requestFields(request.rawHeaders, client, takenNames(exchange, route));
  let fields = withIdentity(withoutTwinsOfEdits(passable, route), exchange);
  if (upstream.sticky?.cookie !== undefined) fields = withoutCookie(fields, upstream.sticky.cookie);
  if (!upstream.preservesHost || exchange.host === "") {
    setField(fields, "Host", backend.address.authority);
  }
  const isStreamWanted = acceptsEventStream(fields);
  if (isStreamWanted) for (const name of CONDITIONAL) removeField(fields, name);
  if (isStreamWanted || upstream.asksForIdentity) setField(fields, "Accept-Encoding", "identity");
  rewriteDestination(fields, exchange, route, backend.address);
  addForwardingFields(fields, exchange, route);
  const prefix = strippedPrefix(target.path, config.rewrite);
  if (prefix !== "") setField(fields, "X-Forwarded-Prefix", client.forwardedPrefix + prefix);
  const { lastEventId } = exchange;
  if (lastEventId !== undefined && fieldValue(fields, "last-event-id") === undefined) {
    fields.push("Last-Event-ID", lastEventId);
  }
  // Behind the entries of earlier proxies (RFC 9110 section 7.6.3).
  if (config.headers.request.via === "on") fields.push("Via", `${request.httpVersion} sluice`);
  if (request.method === "OPTIONS") takeOneForward(fields);
  const path = backendPath(target.path, config.rewrite) + target.query;
  // Before the edits of the route, which may keep the context from a backend of somebody else.
  exchange.attemptTrace?.forward(fields, request.method, path);
  for (const name of config.headers.request.remove) removeField(fields, name);
  for (const [name, value] of Object.entries(config.headers.request.set)) setField(fields, name, value);
  const passing = { route: config.name, method: request.method, target: path };
  // After the fields that the route removes: without the mark a loop has no end.
  upstream.loops.mark(fields, request.rawHeaders, passing);
  addFraming(fields, exchange);
  return {
    path,
    fields: upstream.signingKey ? signedFields(fields, path, exchange, upstream.signingKey) : fields,
    trailersOf: (raw) => withoutIdentity(raw, exchange, route),
    onClientGone: config.stream.onClientGone,
  };
}

/** Counts Max-Forwards down, in place (RFC 9110 section 7.6.2); the gateway answers 0 itself. */
function takeOneForward(fields: string[]): void {
  const left = fieldValue(fields, "max-forwards");
  if (left === undefined || !/^[1-9]\d{0,8}$/.test(left)) return;
  setField(fields, "Max-Forwards", String(Number(left) - 1));
}

/** Adds, in place, the fields that tell the backend the client and the request id. */
function addForwardingFields(fields: string[], { id, client }: Exchange, route: Route): void {
  fields.push("X-Request-Id", id);
  // The request for a shared stream belongs to no single client.
  if (client.forwardedFor !== "") fields.push("X-Forwarded-For", client.forwardedFor);
  fields.push("X-Forwarded-Proto", client.proto);
  // The peer of a unix socket has no address, and a shared stream has no client.
  if (isIP(client.address) !== 0) fields.push("X-Real-IP", client.address);
  if (client.host !== "") fields.push("X-Forwarded-Host", client.host);
  fields.push("X-Forwarded-Port", client.forwardedPort ?? portOf(client, route));
}

/**
 * Returns the port in the client's host, or the default port of its scheme. A scheme or host that the route sets comes
 * first: an application would join `https` and port 80.
 */
function portOf({ host, proto }: Exchange["client"], route: Route): string {
  const port = /:0*([1-9]\d*)$/.exec(setValue(route, "x-forwarded-host") ?? host)?.[1];
  if (port !== undefined && Number(port) <= 65_535) return port;
  return (setValue(route, "x-forwarded-proto") ?? proto) === "https" ? "443" : "80";
}

/** Adds, in place, the fields that frame the request's body: renderRequest adds none. */
function addFraming(fields: string[], exchange: Exchange): void {
  const framing = bodyFraming(exchange);
  if (framing === "chunked") fields.push("Transfer-Encoding", "chunked");
  else if (fieldValue(fields, "content-length") !== undefined) return;
  else if (framing === "buffered") fields.push("Content-Length", String(exchange.body?.length));
  else if (framing === "none" && !BODYLESS.has(exchange.request.method)) fields.push("Content-Length", "0");
}
