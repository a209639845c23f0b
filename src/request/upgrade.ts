import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { atWallClock } from "../base/at-wall-clock.ts";
import { ProxyError } from "../base/errors.ts";
import { sendOnSocket } from "../exchange/bare-reply.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { fieldValue, pairs } from "../http/fields.ts";
import { headOf } from "../http/readable-source.ts";
import { renderRequest } from "../http/render-head.ts";
import { isUpgradeOriginAllowed } from "../policy/cors.ts";
import { runSteps } from "../runtime/pipeline.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { UpstreamRoute } from "../runtime/runtime-route.ts";
import { ordinaryHead } from "../stream/response-head.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import { passUpgrade } from "../websocket/upgrade.ts";
import type { WaitingClient } from "../websocket/waiting-client.ts";
import { checkHandshake, isWebSocketUpgrade } from "../websocket/websocket.ts";
import { readAndRoute } from "./handler.ts";

/** Fields that belong to an upgrade. */
const UPGRADE_FIELDS: ReadonlySet<string> = new Set(["upgrade", "http2-settings"]);

/** Checks and routes a request for an upgrade; returns undefined if the upgrade is to be ignored. */
export function upgradeRoute(exchange: Exchange, runtime: Runtime): UpstreamRoute | undefined {
  const { request } = exchange;
  if (!isWebSocketUpgrade(request)) return undefined;
  const route = readAndRoute(exchange, runtime);
  return route.config.websocket && route.upstream !== undefined ? route : undefined;
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
  const options = connection.split(",").map((option) => option.trim());
  return options.filter((option) => !UPGRADE_FIELDS.has(option.toLowerCase())).join(", ");
}

/** Answers a WebSocket handshake: runs the steps of its route as for any request, then joins client and backend. */
export async function handleUpgrade(
  exchange: Exchange,
  route: UpstreamRoute,
  client: WaitingClient,
): Promise<void> {
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
  checkHandshake(request);
  if (!isUpgradeOriginAllowed(route.cors, request.rawHeaders, exchange.client.host)) {
    throw new ProxyError("origin_denied", `Origin ${fieldValue(request.rawHeaders, "origin")}`);
  }
  const { upstream } = route;
  const expiresAt = exchange.principal?.expiresAt;
  if (expiresAt !== undefined) {
    const expired = exchange.guarded(() => expire(exchange, socket));
    exchange.onEnd(atWallClock(expiresAt, expired));
  }
  const { bytesSent, endReason } = await passUpgrade({
    exchange,
    client,
    upstream,
    requestFor: (backend) => createBackendRequest(exchange, route, upstream, backend),
    onAnswer: (response) => {
      exchange.account.headSent(response.statusCode ?? 502);
      return ordinaryHead(exchange, headOf(response), route);
    },
  });
  exchange.account.addBytes(bytesSent);
  exchange.settle(endReason);
}

/** Aborts a tunnel when its credential expires: it has no event boundary to end at. */
function expire(exchange: Exchange, socket: Socket): void {
  exchange.account.endsWith("auth_expired");
  socket.destroy();
}
