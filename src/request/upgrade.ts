import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { atWallClock } from "../base/at-wall-clock.ts";
import { ProxyError } from "../base/errors.ts";
import { sendOnSocket } from "../exchange/bare-reply.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { fieldValue, listItems, pairs } from "../http/fields.ts";
import { closeSoon, lastResponseOn } from "../http/last-response.ts";
import { headOf } from "../http/readable-source.ts";
import { renderRequest } from "../http/render-head.ts";
import type { Source } from "../http/source.ts";
import { isUpgradeOriginAllowed } from "../policy/cors.ts";
import { runSteps } from "../runtime/pipeline.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { UpstreamRoute } from "../runtime/runtime-route.ts";
import { ordinaryHead } from "../stream/response-head.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import { requestedProtocol } from "../websocket/protocol.ts";
import { passUpgrade } from "../websocket/upgrade.ts";
import type { WaitingClient } from "../websocket/waiting-client.ts";
import { checkHandshake } from "../websocket/websocket.ts";
import { readable, takePlace } from "./answer.ts";
import { deliver } from "./deliver.ts";
import { readAndRoute } from "./handler.ts";
import { join } from "./receive.ts";

/** Fields that belong to an upgrade. */
const UPGRADE_FIELDS: ReadonlySet<string> = new Set(["upgrade", "http2-settings"]);

/** An upgrade that its route allows. */
export interface AllowedUpgrade {
  readonly route: UpstreamRoute;
  /** The protocol to switch to, in lower case. */
  readonly protocol: string;
}

/** Checks and routes a request for an upgrade; returns undefined if the upgrade is to be ignored. */
export function allowedUpgrade(exchange: Exchange, runtime: Runtime): AllowedUpgrade | undefined {
  const { request } = exchange;
  // Before routing: a request that no route would upgrade is routed once, when it is served without the upgrade.
  const anyProtocol = runtime.config.routes.flatMap(({ upgrade }) => upgrade);
  if (requestedProtocol(request, anyProtocol) === undefined) return undefined;
  const route = readAndRoute(exchange, runtime);
  const protocol = requestedProtocol(request, route.config.upgrade);
  return protocol === undefined || route.upstream === undefined ? undefined : { route, protocol };
}

/**
 * Serves a request as if it had not asked for an upgrade (RFC 9110 section 7.8).
 *
 * Node has detached the connection from its parser, so the parser gets the head again, without the upgrade fields.
 * Java's HttpClient and `curl --http2` ask for h2c on every plain connection and expect an ordinary response.
 */
export function ignoreUpgrade(parse: (socket: Duplex) => void, request: ClientRequest, socket: Duplex): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const fields = pairs(rawHeaders)
    .filter(([name]) => !UPGRADE_FIELDS.has(name.toLowerCase()))
    .map(([name, value]) => [name, name.toLowerCase() === "connection" ? withoutUpgrade(value) : value]);
  socket.unshift(Buffer.from(renderRequest(method, url, fields.flat(), httpVersion), "latin1"));
  parse(socket);
  // The socket was paused: bytes cannot be put back into a flowing stream.
  socket.resume();
}

function withoutUpgrade(connection: string): string {
  return listItems([connection])
    .filter((option) => !UPGRADE_FIELDS.has(option.toLowerCase()))
    .join(", ");
}

/** An upgrade that is answered in its turn. */
export interface WaitingUpgrade extends AllowedUpgrade {
  readonly client: WaitingClient;
  readonly runtime: Runtime;
}

/**
 * Answers a request for an upgrade: runs the steps of its route as for any request, then joins client and backend, or
 * relays the backend's response if it does not switch protocols.
 */
export async function handleUpgrade(exchange: Exchange, upgrade: WaitingUpgrade): Promise<void> {
  const { route, protocol, client } = upgrade;
  const { request } = exchange;
  const { socket } = client;
  const reply = await runSteps(route.steps, exchange);
  if (socket.destroyed) return exchange.settle("client_gone");
  if (reply !== undefined) {
    client.release();
    sendOnSocket(socket, reply);
    exchange.account.headSent(reply.status);
    return exchange.settle("completed");
  }
  if (protocol === "websocket") checkHandshake(request);
  if (!isUpgradeOriginAllowed(route.cors, request.rawHeaders, exchange.client.host)) {
    throw new ProxyError("origin_denied", `Origin ${fieldValue(request.rawHeaders, "origin")}`);
  }
  const { upstream } = route;
  const body = await wholeBody(exchange);
  const expiresAt = exchange.principal?.expiresAt;
  if (expiresAt !== undefined) {
    const expired = exchange.guarded(() => expire(exchange, socket));
    exchange.onEnd(atWallClock(expiresAt, expired));
  }
  const answer = await passUpgrade({
    ...{ exchange, client, protocol, upstream, body },
    halfCloseTimeout: route.config.limits.halfCloseTimeout,
    requestFor: (backend) => createBackendRequest(exchange, route, upstream, backend),
    onSwitch: (response) => {
      exchange.account.headSent(response.statusCode ?? 502);
      return ordinaryHead(exchange, headOf(response), route);
    },
  });
  exchange.forgetBody();
  if (answer === undefined) return exchange.settle("client_gone");
  if ("response" in answer) return relayResponse(exchange, upgrade, answer.response);
  const { bytesSent, bytesReceived, endReason } = await answer.tunnel;
  exchange.account.addBytes(bytesSent);
  exchange.account.addReceived(bytesReceived);
  exchange.settle(endReason);
}

/** Returns the body of the request, read by a step or here; it is at most `MAX_UPGRADE_BODY` bytes long. */
async function wholeBody({ body, request }: Exchange): Promise<readonly Buffer[]> {
  if (body !== undefined) return body.blocks;
  if (request.body === undefined) return [];
  return (await request.body.stream.toArray()) as Buffer[];
}

/** Relays a response without a switch as that of any other request; it is the last one of its connection. */
async function relayResponse(
  exchange: Exchange,
  { route, client, runtime }: WaitingUpgrade,
  source: Source,
): Promise<void> {
  const { socket } = client;
  const response = lastResponseOn(socket);
  join(exchange, response);
  response.onClose(() => {
    if (response.isWhole) closeSoon(socket);
  });
  // Reads and discards what the client still sends, so that its end is noticed.
  socket.once("end", () => socket.destroy());
  socket.resume();
  const answer = readable(exchange, source, route, runtime);
  if (answer.isStream) await takePlace(exchange, route, runtime.capacity);
  deliver({ exchange, response, route, runtime }, answer);
}

/** Aborts a tunnel when its credential expires: it has no event boundary to end at. */
function expire(exchange: Exchange, socket: Socket): void {
  exchange.account.endsWith("auth_expired");
  socket.destroy();
}
