import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { checkHead } from "../routing/request-head.ts";
import { readTarget } from "../routing/target.ts";
import { findRoute } from "./handler.ts";
import type { Runtime } from "./runtime.ts";

/** Fields that only make sense together with the upgrade they ask for. */
const UPGRADE_FIELDS: ReadonlySet<string> = new Set(["upgrade", "http2-settings"]);

/** Reads and routes a request for an upgrade; true when its route passes WebSocket upgrades on. */
export function isPassedOn(exchange: Exchange, runtime: Runtime): boolean {
  const { request } = exchange;
  if (request.headers.upgrade?.toLowerCase() !== "websocket") return false;
  exchange.host = checkHead(request, runtime.maxHeaderFields);
  exchange.target = readTarget(request.url ?? "", exchange.host);
  exchange.route = findRoute(exchange, runtime);
  return exchange.route.config.websocket;
}

/**
 * Serves a request as if it had not asked for an upgrade (RFC 9110 section 7.8).
 *
 * Node has taken the connection from its parser, so the head is given back without the upgrade fields.
 * Java's HttpClient and `curl --http2` ask for h2c on every plain connection and expect just this.
 */
export function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    const value = rawHeaders[at + 1] ?? "";
    if (UPGRADE_FIELDS.has(name.toLowerCase())) continue;
    lines.push(
      name.toLowerCase() === "connection" ? `${name}: ${withoutUpgrade(value)}` : `${name}: ${value}`,
    );
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  server.emit("connection", socket);
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(",").map((option) => option.trim());
  return options.filter((option) => !UPGRADE_FIELDS.has(option.toLowerCase())).join(", ");
}

export async function handleUpgrade(
  _exchange: Exchange,
  _socket: Duplex,
  _head: Buffer,
  _runtime: Runtime,
): Promise<void> {
  throw new ProxyError("internal_error", "websocket not wired");
}
