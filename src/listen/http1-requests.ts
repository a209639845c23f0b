import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { FORWARDED_METHODS } from "../http/request-head.ts";
import type { ParserOfConnection } from "../process/internals/parser-of-connection.ts";
import { answer, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { WaitingClient } from "../websocket/waiting-client.ts";
import { type ClientError, clientErrorRefusal } from "./client-error.ts";
import { createDetachedRequest, createNodeRequest } from "./node-request.ts";
import { NodeResponse } from "./node-response.ts";
import { refuseOn } from "./refuse-on.ts";
import { RequestTurn } from "./request-turn.ts";
import { secondParse } from "./second-parse.ts";
import { type Turn, Turns } from "./turns.ts";
import { UpgradeTurn } from "./upgrade-turn.ts";

/** The maximum number of bytes that are read and dropped after a parse error, while an earlier request is answered. */
const MAX_BYTES_AFTER_ERROR = 64 * 1024;

/**
 * How long, in ms, a client may still send the rest of an answered request when the gateway closes; that of nginx's
 * `lingering_timeout`. The client may not have read its response yet.
 */
const LINGER_MS = 5_000;

/** The dependencies of `Http1Requests`. */
export interface Http1Setup {
  readonly runtime: Runtime;
  /** Node's parser, which reads the connections that were given to it. */
  readonly parser: ParserOfConnection;
}

/** A connection that Node's parser reads. */
interface Connection {
  readonly turns: Turns;
  /** The last request that was read on it. */
  last: RequestTurn | undefined;
  /** The method of the request that comes next, if Node's parser does not know it. */
  method: string | undefined;
  /** Bytes that came with and after the first parse error; undefined before it. */
  errorBytes: number | undefined;
}

/** The requests that Node's HTTP/1 parser reads on the connections of one listener. */
export class Http1Requests {
  readonly #server: http.Server;
  readonly #runtime: Runtime;
  readonly #parser: ParserOfConnection;
  readonly #connections = new WeakMap<Duplex, Connection>();
  /** The connections whose last request is answered, but has not come completely. */
  readonly #lingering = new Set<Socket>();
  #isClosing = false;
  /** Closes connections without a request when the gateway closes; called when a request or its response has ended. */
  readonly #closeIdle = () => {
    if (this.#isClosing) this.#server.closeIdleConnections();
  };

  constructor(server: http.Server, { runtime, parser }: Http1Setup) {
    this.#server = server;
    this.#runtime = runtime;
    this.#parser = parser;
    const onRequest = (request: IncomingMessage, response: ServerResponse, awaitsContinue = false) =>
      this.#guard(request.socket, () => this.#onRequest(request, response, awaitsContinue));
    server.on("request", (request, response) => onRequest(request, response));
    server.on("checkContinue", (request, response) => onRequest(request, response, true));
    server.on("checkExpectation", (request, response) =>
      this.#guard(request.socket, () => this.#onExpectation(request, response)),
    );
    server.on("upgrade", (request, socket, head) =>
      this.#guard(socket, () => this.#onDetached(request, socket, head, "upgrade")),
    );
    server.on("connect", (request, socket, head) =>
      this.#guard(socket, () => this.#onDetached(request, socket, head, "connect")),
    );
    server.on("clientError", (error, socket) =>
      this.#guard(socket, () => this.#onClientError(error, socket)),
    );
  }

  /** Closes each connection as soon as no request is under way on it; one that lingers, at the latest in `LINGER_MS`. */
  close(): void {
    this.#isClosing = true;
    this.#closeIdle();
    for (const socket of this.#lingering) this.#endLate(socket);
  }

  /** Refuses a connection on which no request has come within `limits.requestTimeout`. */
  timeOut(socket: Socket): void {
    this.#guard(socket, () => this.#refuseNext(socket, new ProxyError("request_timeout", "no request came")));
  }

  #onRequest(request: IncomingMessage, nodeResponse: ServerResponse, awaitsContinue: boolean): void {
    // The rest of a packet with more requests than may be pipelined.
    if (request.socket.destroyed) return;
    const exchange = this.#receive(request, request.socket);
    // A client that keeps connections, such as nginx, must not find one closed under its next request.
    if (this.#runtime.isDraining) nodeResponse.shouldKeepAlive = false;
    // A response may be complete before its request: such a request delayed the shutdown by its whole grace of 5 s.
    request.once("end", this.#closeIdle);
    const response = new NodeResponse(nodeResponse);
    if (awaitsContinue) exchange.waitsForContinue(response);
    this.#take(request, exchange, response, () => void answer(exchange, response, this.#runtime));
  }

  #onExpectation(request: IncomingMessage, nodeResponse: ServerResponse): void {
    const exchange = this.#receive(request, request.socket);
    this.#take(request, exchange, new NodeResponse(nodeResponse), () => {
      exchange.fault(new ProxyError("expectation_failed", `Expect: ${request.headers.expect}`));
    });
  }

  #take(request: IncomingMessage, exchange: Exchange, response: NodeResponse, begin: () => void): void {
    const connection = this.#connectionOf(request.socket);
    const { turns } = connection;
    const setup = { runtime: this.#runtime, turns, begin, onDone: () => this.#onDone(request) };
    const turn = new RequestTurn(request, exchange, response, setup);
    connection.last = turn;
    turns.take(turn);
  }

  #onDone(request: IncomingMessage): void {
    this.#closeIdle();
    const { socket } = request;
    if (request.complete || socket.destroyed) return;
    this.#lingering.add(socket);
    const forget = () => {
      this.#lingering.delete(socket);
      request.removeListener("close", forget);
      socket.removeListener("close", forget);
    };
    // Node closes the request when it has come completely, but not always when its connection ends.
    request.once("close", forget);
    socket.once("close", forget);
    if (this.#isClosing) this.#endLate(socket);
  }

  #endLate(socket: Socket): void {
    const end = () => {
      if (this.#lingering.has(socket)) socket.destroy();
    };
    setTimeout(end, LINGER_MS).unref();
  }

  /** Takes an upgrade or CONNECT: Node has detached the connection from its parser and removed its listeners. */
  #onDetached(request: IncomingMessage, socket: Duplex, head: Buffer, kind: "upgrade" | "connect"): void {
    const { request: detached, body } = createDetachedRequest(request, this.#methodOf(socket));
    const exchange = receive(detached, socket, this.#runtime);
    const client = new WaitingClient(socket as Socket, head);
    const { turns } = this.#connectionOf(socket);
    const parse = (again: Duplex) => this.#parser.parse(again);
    const setup = { runtime: this.#runtime, turns, body, parse };
    if (kind === "upgrade") turns.take(new UpgradeTurn(exchange, client, setup));
    else turns.take(connectTurn(client, exchange, turns));
  }

  /** Takes a parse error, a head that is too large, a request that takes too long, or a broken connection. */
  #onClientError(error: ClientError, socket: Duplex): void {
    const connection = this.#connectionOf(socket);
    const isFirst = connection.errorBytes === undefined;
    if (isFirst && this.#parseAgain(error, socket, connection)) return;
    // After an error, Node's parser no longer reports the end of the client; it repeats the error instead.
    if (isFirst) socket.once("end", () => socket.destroy());
    connection.errorBytes = (connection.errorBytes ?? 0) + (error.rawPacket?.length ?? 0);
    // Bytes after a request with `Connection: close` are not a request; the first request is answered all the same.
    const isSurplus = error.code === "HPE_CLOSED_CONNECTION";
    const refused = isSurplus ? undefined : clientErrorRefusal(error, socket as Socket);
    if (connection.errorBytes > MAX_BYTES_AFTER_ERROR) socket.destroy();
    else if (isSurplus) return;
    else if (refused === undefined) socket.destroy();
    // Node repeats the error at each further read; only the first one is refused.
    else if (!isFirst) return;
    else if (connection.last?.isArriving !== true) this.#refuseNext(socket, refused);
    else if (!connection.last.refuseBody(refused)) socket.destroy();
  }

  /**
   * Has a request read again that Node's parser refuses for its method or minor version; returns false at any other
   * error. It must begin with the bytes of the last read, behind the end of the last request: where else it begins, Node
   * does not tell.
   */
  #parseAgain(error: ClientError, socket: Duplex, connection: Connection): boolean {
    // Once for each request: `PRI` is refused in any version but 2.0.
    if (connection.method !== undefined) return false;
    const isAtStart = connection.turns.areDone && connection.last?.wasCompleteAtEnd !== false;
    if (!isAtStart || !this.#parser.hasBegunOne(socket)) return false;
    const again = secondParse(error);
    if (again === undefined) return false;
    connection.method = again.method;
    this.#parser.takeBack(socket);
    socket.unshift(again.bytes);
    this.#parser.parse(socket);
    socket.resume();
    return true;
  }

  /** Refuses the bytes after the last request, once all requests before them are answered. */
  #refuseNext(socket: Duplex, fault: ProxyError): void {
    const { turns } = this.#connectionOf(socket);
    const exchange = this.#receive(new http.IncomingMessage(socket as Socket), socket);
    turns.take(refusalTurn(socket, exchange, fault, turns));
  }

  #receive(request: IncomingMessage, socket: Duplex): Exchange {
    return receive(createNodeRequest(request, this.#methodOf(socket)), socket, this.#runtime);
  }

  /** Returns the method of a request that Node's parser does not know, once. */
  #methodOf(socket: Duplex): string | undefined {
    const connection = this.#connectionOf(socket);
    const { method } = connection;
    connection.method = undefined;
    return method;
  }

  #connectionOf(socket: Duplex): Connection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const connection = {
      turns: new Turns(socket),
      last: undefined,
      method: undefined,
      errorBytes: undefined,
    };
    socket.once("end", () => this.#guard(socket, () => connection.turns.clientEnded()));
    this.#connections.set(socket, connection);
    return connection;
  }

  /** A fault outside of any exchange ends the connection on which it happened. */
  #guard(socket: Duplex, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#runtime.onFault(error);
      socket.destroy();
    }
  }
}

/** Returns a turn that refuses; `detach` is called when the turn comes, or is skipped. */
function refusalTurn(
  socket: Duplex,
  exchange: Exchange,
  error: ProxyError,
  turns: Turns,
  detach = () => {},
): Turn {
  const turn: Turn = {
    begin: () => {
      detach();
      refuseOn(socket, exchange, error);
      // The connection ends with this turn, so later turns are skipped.
      turns.done(turn);
    },
    skip: () => {
      detach();
      exchange.settle("client_gone");
    },
  };
  return turn;
}

/** Refuses CONNECT. Node no longer listens for `drain`, which earlier responses of the connection may wait for. */
function connectTurn(client: WaitingClient, exchange: Exchange, turns: Turns): Turn {
  const refused = new ProxyError("method_not_allowed", "CONNECT", { fields: [["Allow", FORWARDED_METHODS]] });
  client.queue(() => turns.drained());
  return refusalTurn(client.socket, exchange, refused, turns, () => client.release());
}
