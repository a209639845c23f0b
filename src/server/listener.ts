import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { UNIX_PEER } from "../base/address.ts";
import { ProxyError } from "../base/errors.ts";
import type { ListenAddress, ServerConfig } from "../config/server-schema.ts";
import type { ClientResponse } from "../pipeline/client-response.ts";
import { Exchange } from "../pipeline/exchange.ts";
import { writeRawReply } from "../pipeline/raw-reply.ts";
import { errorReply, fail } from "../pipeline/reply.ts";
import { FORWARDED_METHODS } from "../routing/request-head.ts";
import { handle } from "./handler.ts";
import { createNodeRequest } from "./node-request.ts";
import { NodeResponse } from "./node-response.ts";
import { parseFault } from "./parse-fault.ts";
import type { Runtime } from "./runtime.ts";
import { handleUpgrade, ignoreUpgrade, upgradeRoute } from "./upgrade.ts";

/** nginx keeps idle connections to us for 60 s; whoever closes first must not be us (a 502 there). */
const KEEP_ALIVE_MS = 75_000;

/** How often Node looks for requests that take too long; its default of 30 s would let them take 90. */
const CHECK_INTERVAL_MS = 1_000;

/** Requests of one connection that wait for the answer of the first; a client with more is cut off. */
const MAX_PIPELINED = 16;

/** The time after which the kernel asks a silent peer whether it is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** One listening address and its connections. */
export class Listener {
  readonly #address: ListenAddress;
  readonly #runtime: Runtime;
  readonly #server: http.Server;
  /** Every connection, for the ones on which no byte has come: Node counts those as busy. */
  readonly #connections = new Set<Socket>();
  /** Exchanges of each connection in the order of their requests; the first is being answered. */
  readonly #queues = new WeakMap<Duplex, (() => void)[]>();
  /** What answers now on each connection, for faults that come from below HTTP. */
  readonly #current = new WeakMap<Duplex, { exchange: Exchange; response: ClientResponse }>();

  #isClosing = false;
  /** Connections that HTTP has let go of. */
  readonly #upgraded = new Set<Duplex>();

  constructor(address: ListenAddress, { limits }: ServerConfig, runtime: Runtime) {
    this.#address = address;
    this.#runtime = runtime;
    this.#server = http.createServer({
      maxHeaderSize: limits.headerBytes,
      requestTimeout: limits.requestTimeout,
      headersTimeout: limits.requestTimeout,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
      highWaterMark: 16 * 1024,
      // Refused with our own body in `checkHead`, as all that is refused.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    // Node would drop fields beyond its own count without a word; `limits.headers` refuses them.
    this.#server.maxHeadersCount = 0;
    this.#server.on("connection", (socket) => {
      // An ignored upgrade hands its connection in again.
      if (this.#connections.has(socket)) return;
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    });
    this.#server.on("request", (request, response) => this.#onRequest(request, response));
    this.#server.on("checkContinue", (request, response) => this.#onRequest(request, response, true));
    this.#server.on("checkExpectation", (request, response) => this.#onExpectation(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on("connect", (request, socket) => this.#refuse(socket, request, connectRefused()));
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
  }

  /** Starts to listen; resolves with the address in the form the configuration has. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const options = "path" in this.#address ? { path: this.#address.path } : this.#address;
      this.#server.listen(options, () => {
        this.#server.removeListener("error", reject);
        resolve(nameOf(this.#server.address()));
      });
    });
  }

  /** Accepts no more connections; resolves when the last one is closed. A tunnel has no border to end at. */
  close(): Promise<void> {
    this.#isClosing = true;
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
      // Browsers and Node's fetch open spare connections; one of them held the end for the whole grace.
      for (const socket of this.#connections) if (socket.bytesRead === 0) socket.destroy();
      for (const socket of this.#upgraded) socket.destroy();
    });
  }

  closeAllConnections(): void {
    this.#server.closeAllConnections();
  }

  #newExchange(request: IncomingMessage, socket: Duplex): Exchange {
    const peer = "path" in this.#address ? UNIX_PEER : (socket as Socket).remoteAddress;
    const { rawHeaders, headers } = request;
    const client = this.#runtime.trust.resolveClient({
      peer,
      tls: false,
      rawHeaders,
      host: headers.host ?? "",
    });
    return new Exchange(createNodeRequest(request), client, this.#runtime.log);
  }

  #onRequest(request: IncomingMessage, nodeResponse: ServerResponse, awaitsContinue = false): void {
    const exchange = this.#newExchange(request, request.socket);
    exchange.awaitsContinue = awaitsContinue;
    const response = new NodeResponse(nodeResponse);
    exchange.writeContinue = () => response.writeContinue();
    this.#inTurn(request.socket, exchange, response, () => {
      handle(exchange, response, this.#runtime).catch((error: unknown) => fail(exchange, response, error));
    });
  }

  /** Answers the requests of one connection one after the other, so that none of them dials for nothing. */
  #inTurn(socket: Socket, exchange: Exchange, response: ClientResponse, answer: () => void): void {
    const queue = this.#queues.get(socket) ?? [];
    this.#queues.set(socket, queue);
    const begin = () => {
      this.#current.set(socket, { exchange, response });
      // Behind a refusal that closes the connection nothing is a request: whoever misread where the refused
      // one ended would have the rest of it served. Its end is under way when `close` begins the next turn.
      if (!socket.writable) return this.#endTurn(queue, exchange, "client_gone");
      response.onClose(() => {
        this.#endTurn(queue, exchange, response.isWhole ? "completed" : "client_gone");
      });
      answer();
    };
    queue.push(begin);
    if (queue.length > MAX_PIPELINED) socket.destroy();
    if (queue.length === 1) begin();
  }

  #endTurn(queue: (() => void)[], exchange: Exchange, reason: "completed" | "client_gone"): void {
    exchange.settle(reason);
    queue.shift();
    queue[0]?.();
    if (this.#isClosing) this.#server.closeIdleConnections();
  }

  #onExpectation(request: IncomingMessage, nodeResponse: ServerResponse): void {
    const exchange = this.#newExchange(request, request.socket);
    const response = new NodeResponse(nodeResponse);
    this.#inTurn(request.socket, exchange, response, () => {
      fail(exchange, response, new ProxyError("expectation_failed", `Expect: ${request.headers.expect}`));
    });
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const exchange = this.#newExchange(request, socket);
    this.#upgrade(exchange, socket, head).catch((error: unknown) => {
      this.#refuse(socket, request, error, exchange);
    });
  }

  async #upgrade(exchange: Exchange, socket: Duplex, head: Buffer): Promise<void> {
    const route = upgradeRoute(exchange, this.#runtime);
    if (route === undefined) return ignoreUpgrade(this.#server, exchange.request, socket, head);
    this.#upgraded.add(socket);
    socket.once("close", () => this.#upgraded.delete(socket));
    await handleUpgrade(exchange, route, socket as Socket, head);
  }

  /** Answers on a socket that has no response object, and writes the exchange's line. */
  #refuse(
    socket: Duplex,
    request: IncomingMessage,
    error: unknown,
    exchange = this.#newExchange(request, socket),
  ): void {
    const refusal =
      error instanceof ProxyError ? error : new ProxyError("internal_error", "unexpected", { cause: error });
    exchange.error = refusal;
    const isAnswered = socket.writable;
    writeRawReply(socket, errorReply(exchange, refusal));
    exchange.headSent(refusal.status);
    exchange.settle(!isAnswered ? "client_gone" : refusal.status >= 500 ? "backend_failed" : "completed");
  }

  /** Bytes that are no HTTP, a head that is too large, a request that takes too long; or a connection that broke. */
  #onClientError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex): void {
    // What still comes of a request that was refused already; each chunk of it was one more answer and line.
    if (socket.writableEnded) return;
    // Bytes behind a request that said `Connection: close`: no request, and no reason not to answer the first.
    if (error.code === "HPE_CLOSED_CONNECTION") return;
    const fault = parseFault(error, socket as Socket);
    const current = this.#current.get(socket);
    if (fault === undefined) {
      socket.destroy();
    } else if (current === undefined || current.response.isClosed) {
      this.#refuseUnparsed(socket, fault);
    } else if (current.response.isHeadSent) {
      // Nothing that follows a stream's request is a request of its own.
      socket.destroy();
    } else {
      fail(current.exchange, current.response, fault);
    }
  }

  #refuseUnparsed(socket: Duplex, fault: ProxyError): void {
    const request = new http.IncomingMessage(socket as Socket);
    this.#refuse(socket, request, fault);
  }
}

function connectRefused(): ProxyError {
  return new ProxyError("method_not_allowed", "CONNECT", { fields: [["Allow", FORWARDED_METHODS]] });
}

function nameOf(address: AddressInfo | string | null): string {
  if (address === null) throw new TypeError("a listening server has an address");
  if (typeof address === "string") return `unix:${address}`;
  return address.family === "IPv6"
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
