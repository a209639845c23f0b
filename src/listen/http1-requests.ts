import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { FORWARDED_METHODS } from "../http/request-head.ts";
import { arrivalOf } from "../request/arrival.ts";
import { answer, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { WaitingClient } from "../websocket/waiting-client.ts";
import { createNodeRequest } from "./node-request.ts";
import { NodeResponse } from "./node-response.ts";
import { type ParseError, parseFault } from "./parse-fault.ts";
import { refuseOn } from "./refuse-on.ts";
import { RequestTurn } from "./request-turn.ts";
import { type Turn, Turns } from "./turns.ts";
import { UpgradeTurn } from "./upgrade-turn.ts";

/** The most that is read and dropped behind bytes that were no HTTP, while an earlier request is answered. */
const MAX_BYTES_BEHIND_FAULT = 64 * 1024;

/** What HTTP/1 requests are answered with. */
export interface Http1Setup {
  readonly runtime: Runtime;
  /** Gives a connection to Node's parser, anew when an upgrade on it was ignored. */
  readonly parse: (socket: Duplex) => void;
}

/** A connection that Node's parser reads. */
interface Connection {
  readonly turns: Turns;
  /** The last request that was read on it. */
  last: RequestTurn | undefined;
  /** Bytes that came with and behind the first fault; undefined while all that came was HTTP. */
  faultBytes: number | undefined;
}

/** The requests that Node's HTTP/1 parser reads on the connections of one listener. */
export class Http1Requests {
  readonly #server: http.Server;
  readonly #runtime: Runtime;
  readonly #parse: (socket: Duplex) => void;
  readonly #connections = new WeakMap<Duplex, Connection>();
  #isClosing = false;
  /** A gateway that closes keeps no connection on which a request and its answer are over, whichever was last. */
  readonly #letGo = () => {
    if (this.#isClosing) this.#server.closeIdleConnections();
  };

  constructor(server: http.Server, { runtime, parse }: Http1Setup) {
    this.#server = server;
    this.#runtime = runtime;
    this.#parse = parse;
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

  /** Lets each connection go as soon as nothing is under way on it. */
  close(): void {
    this.#isClosing = true;
    this.#letGo();
  }

  /** Refuses a connection on which no request has come in `limits.requestTimeout`. */
  timeOut(socket: Socket): void {
    this.#guard(socket, () => this.#refuseNext(socket, new ProxyError("request_timeout", "no request came")));
  }

  #onRequest(request: IncomingMessage, nodeResponse: ServerResponse, awaitsContinue: boolean): void {
    // The rest of a packet with more requests than may wait.
    if (request.socket.destroyed) return;
    const exchange = this.#receive(request, request.socket);
    // Whoever keeps connections to us, as nginx does, shall find none of them closed under its next request.
    if (this.#runtime.isDraining) nodeResponse.shouldKeepAlive = false;
    // An answer may be ahead of the rest of its request, which held the end for the whole grace of five seconds.
    request.once("end", this.#letGo);
    const response = new NodeResponse(nodeResponse);
    if (awaitsContinue) exchange.waitsForContinue(response);
    this.#take(request, exchange, response, () => answer(exchange, response, this.#runtime));
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
    const turn = new RequestTurn(request, exchange, response, { turns, begin, onDone: this.#letGo });
    connection.last = turn;
    turns.take(turn);
  }

  /** An upgrade or CONNECT: Node has taken the connection from its parser, and listens to nothing on it any more. */
  #onDetached(request: IncomingMessage, socket: Duplex, head: Buffer, kind: "upgrade" | "connect"): void {
    const exchange = this.#receive(request, socket);
    const client = new WaitingClient(socket as Socket, head);
    const { turns } = this.#connectionOf(socket);
    const setup = { runtime: this.#runtime, turns, parse: this.#parse };
    if (kind === "upgrade") turns.take(new UpgradeTurn(exchange, client, setup));
    else turns.take(connectTurn(client, exchange, turns));
  }

  /** Bytes that are no HTTP, a head that is too large, a request that takes too long; or a connection that broke. */
  #onClientError(error: ParseError, socket: Duplex): void {
    const connection = this.#connectionOf(socket);
    const isFirst = connection.faultBytes === undefined;
    // Node's parser is of no more use: it reports its fault again where it would have told that the client is done.
    if (isFirst) socket.once("end", () => socket.destroy());
    connection.faultBytes = (connection.faultBytes ?? 0) + (error.rawPacket?.length ?? 0);
    // Bytes behind a request that said `Connection: close`: no request, and no reason not to answer the first.
    const isSurplus = error.code === "HPE_CLOSED_CONNECTION";
    const fault = isSurplus ? undefined : parseFault(error, socket as Socket);
    if (connection.faultBytes > MAX_BYTES_BEHIND_FAULT) socket.destroy();
    else if (isSurplus) return;
    else if (fault === undefined) socket.destroy();
    // Node reports each further piece of what is no HTTP: it was refused once.
    else if (!isFirst) return;
    else if (connection.last?.isArriving !== true) this.#refuseNext(socket, fault);
    else if (!connection.last.refuseBody(fault)) socket.destroy();
  }

  /** Refuses what came behind the last request, when all requests before it are answered. */
  #refuseNext(socket: Duplex, fault: ProxyError): void {
    const { turns } = this.#connectionOf(socket);
    const exchange = this.#receive(new http.IncomingMessage(socket as Socket), socket);
    turns.take(refusalTurn(socket, exchange, fault, turns));
  }

  #receive(request: IncomingMessage, socket: Duplex): Exchange {
    return receive(createNodeRequest(request), arrivalOf(socket), this.#runtime);
  }

  #connectionOf(socket: Duplex): Connection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const connection = { turns: new Turns(socket), last: undefined, faultBytes: undefined };
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

/** `letGo` is called when its turn comes, or is skipped. */
function refusalTurn(
  socket: Duplex,
  exchange: Exchange,
  error: ProxyError,
  turns: Turns,
  letGo = () => {},
): Turn {
  const turn: Turn = {
    begin: () => {
      letGo();
      refuseOn(socket, exchange, error);
      // The connection ends with it, so those that wait are skipped.
      turns.done(turn);
    },
    skip: () => {
      letGo();
      exchange.settle("client_gone");
    },
  };
  return turn;
}

/** Refuses CONNECT. Node listens for `drain` no more, and earlier answers of the connection may wait for it. */
function connectTurn(client: WaitingClient, exchange: Exchange, turns: Turns): Turn {
  const refused = new ProxyError("method_not_allowed", "CONNECT", { fields: [["Allow", FORWARDED_METHODS]] });
  client.queue(() => turns.drained());
  return refusalTurn(client.socket, exchange, refused, turns, () => client.release());
}
