import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { ClientResponse } from "../pipeline/client-response.ts";
import { Exchange } from "../pipeline/exchange.ts";
import { writeRawReply } from "../pipeline/raw-reply.ts";
import { errorReply, fail } from "../pipeline/reply.ts";
import { FORWARDED_METHODS } from "../routing/request-head.ts";
import { arrivalOf } from "./arrival.ts";
import { handle } from "./handler.ts";
import { createNodeRequest } from "./node-request.ts";
import { NodeResponse } from "./node-response.ts";
import { parseFault } from "./parse-fault.ts";
import type { PlainRequest } from "./request-parser.ts";
import type { Runtime } from "./runtime.ts";
import { Tunnel } from "./tunnel.ts";
import { handleUpgrade, ignoreUpgrade, upgradeRoute } from "./upgrade.ts";

/** Requests of one connection that wait for the answer of the first; a client with more is cut off. */
const MAX_PIPELINED = 16;

/** What HTTP/1 requests are answered with. */
export interface Http1Setup {
  readonly runtime: Runtime;
  /** Gives a connection to Node's parser, anew when an upgrade on it was ignored. */
  readonly parse: (socket: Duplex) => void;
}

/** The requests that Node's HTTP/1 parser reads on the connections of one listener. */
export class Http1Requests {
  readonly #server: http.Server;
  readonly #runtime: Runtime;
  readonly #parse: (socket: Duplex) => void;
  /** Exchanges of each connection in the order of their requests; the first is being answered. */
  readonly #queues = new WeakMap<Duplex, (() => void)[]>();
  /** What answers now on each connection, for faults that come from below HTTP. */
  readonly #current = new WeakMap<Duplex, { exchange: Exchange; response: ClientResponse }>();
  #isClosing = false;
  /** A gateway that closes keeps no connection on which a request and its answer are over, whichever was last. */
  readonly #letGo = () => {
    if (this.#isClosing) this.#server.closeIdleConnections();
  };

  constructor(server: http.Server, { runtime, parse }: Http1Setup) {
    this.#server = server;
    this.#runtime = runtime;
    this.#parse = parse;
    server.on("request", (request, response) => this.#onRequest(request, response));
    server.on("checkContinue", (request, response) => this.#onRequest(request, response, true));
    server.on("checkExpectation", (request, response) => this.#onExpectation(request, response));
    server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    server.on("connect", (request, socket) => this.#refuse(socket, request, connectRefused()));
    server.on("clientError", (error, socket) => this.#onClientError(error, socket));
  }

  /** Lets each connection go as soon as nothing is under way on it. */
  close(): void {
    this.#isClosing = true;
    this.#letGo();
  }

  /** Answers a request that was read, and is answered, without Node's parser; the only one of its connection. */
  answerPlain(request: PlainRequest, response: ClientResponse, socket: Socket): void {
    const { rawHeaders, host } = request;
    const arrival = arrivalOf(socket);
    const { peer, tls } = arrival;
    const client = this.#runtime.trust.resolveClient({ peer, tls, rawHeaders, host });
    const exchange = new Exchange(request, client, this.#runtime);
    exchange.isOverflow = arrival.isOverflow;
    response.onClose(() => exchange.settle(response.isWhole ? "completed" : "client_gone"));
    handle(exchange, response, this.#runtime).catch((error: unknown) => fail(exchange, response, error));
  }

  /** Refuses a connection on which no request has come in `limits.requestTimeout`. */
  timeOut(socket: Socket): void {
    this.#refuseUnparsed(socket, new ProxyError("request_timeout", "no request came"));
  }

  #newExchange(request: IncomingMessage, socket: Duplex): Exchange {
    const { rawHeaders, headers } = request;
    const arrival = arrivalOf(socket);
    const host = headers.host ?? "";
    const { peer, tls } = arrival;
    const client = this.#runtime.trust.resolveClient({ peer, tls, rawHeaders, host });
    const exchange = new Exchange(createNodeRequest(request), client, this.#runtime);
    exchange.isOverflow = arrival.isOverflow;
    return exchange;
  }

  #onRequest(request: IncomingMessage, nodeResponse: ServerResponse, awaitsContinue = false): void {
    const exchange = this.#newExchange(request, request.socket);
    exchange.awaitsContinue = awaitsContinue;
    // Whoever keeps connections to us, as nginx does, shall find none of them closed under its next request.
    if (this.#runtime.isDraining) nodeResponse.shouldKeepAlive = false;
    // An answer may be ahead of the rest of its request, which held the end for the whole grace of five seconds.
    request.once("end", this.#letGo);
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
    this.#letGo();
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
    if (route === undefined) return ignoreUpgrade(this.#parse, exchange.request, socket, head);
    const tunnel = new Tunnel(exchange, socket);
    this.#runtime.tunnels.add(tunnel);
    socket.once("close", () => this.#runtime.tunnels.delete(tunnel));
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
