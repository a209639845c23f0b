import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  Http2ServerRequest,
  Http2ServerResponse,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { fieldValue } from "../http/fields.ts";
import { retrySoon } from "../http/retry-after.ts";
import { afterResponses } from "../process/internals/connection-listener.ts";
import { keepSessionInMemory } from "../process/internals/http2-session-memory.ts";
import { hasRoute, readAndRoute } from "../request/handler.ts";
import { answer, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { WaitingClient } from "../websocket/waiting-client.ts";
import { noteAttachedSession, noteAttachedSocket } from "./attached-arrival.ts";
import { writeMergedHead } from "./attached-head.ts";
import { answerHttp2 } from "./http2-exchange.ts";
import { createDetachedRequest, createNodeRequest } from "./node-request.ts";
import { NodeResponse } from "./node-response.ts";
import { RequestTurn } from "./request-turn.ts";
import { Turns } from "./turns.ts";
import { UpgradeTurn } from "./upgrade-turn.ts";

/** A request of node:http, or of the compatibility API of node:http2. */
export type AttachedRequest = IncomingMessage | Http2ServerRequest;
/** Its response. */
export type AttachedResponse = ServerResponse | Http2ServerResponse;

/** Answers a request of node:http or node:http2 if a route takes it. */
export interface Middleware {
  /** Calls `next` if no route takes the request. */
  (request: AttachedRequest, response: AttachedResponse, next: () => void): void;
  /** Returns whether a route takes the request. */
  (request: AttachedRequest, response: AttachedResponse): boolean;
}

/** A request for an upgrade, which Node has detached from its parser. */
export interface DetachedUpgrade {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** The bytes behind its head. */
  readonly head: Buffer;
  /** Gives the connection to Node's parser again. */
  readonly parse: (socket: Duplex) => void;
}

type KeepInMemory = (stream: ServerHttp2Stream) => void;

/** The requests that come in on servers of the program around sluice. */
export class AttachedRequests {
  readonly #runtime: Runtime;
  readonly #turns = new WeakMap<Socket, Turns>();
  readonly #sessions = new WeakMap<object, KeepInMemory>();
  /** The exchanges under way, each with the function that aborts it. */
  readonly #open = new Map<Exchange, () => void>();
  #isClosing = false;
  #onLast = () => {};

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  readonly middleware: Middleware = (
    request: AttachedRequest,
    response: AttachedResponse,
    next?: () => void,
  ) => {
    const isTaken = this.take(request, response);
    if (!isTaken) next?.();
    return isTaken;
  };

  /** Answers a request if a route takes it; returns whether a route does. */
  take(request: AttachedRequest, response: AttachedResponse, awaitsContinue = false): boolean {
    if ("stream" in request) return this.#takeCompat(request);
    if (!this.#isOurs(request)) return false;
    this.#guard(request.socket, () => this.#answer(request, response as ServerResponse, awaitsContinue));
    return true;
  }

  /** Answers the request on an HTTP/2 stream if a route takes it; returns whether a route does. */
  takeStream(stream: ServerHttp2Stream, rawHeaders: readonly string[], isRead = false): boolean {
    const value = (name: string) => fieldValue(rawHeaders, name);
    const [method = "", url = ""] = [value(":method"), value(":path")];
    const host = value(":authority") ?? value("host") ?? "";
    if (!hasRoute({ method, url, rawHeaders }, host, this.#runtime)) return false;
    this.#guard(stream, () => this.#answerStream(stream, rawHeaders, isRead));
    return true;
  }

  /** Answers a request for an upgrade if a route takes it; returns whether a route does. */
  takeUpgrade({ request, socket, head, parse }: DetachedUpgrade): boolean {
    if (!this.#isOurs(request)) return false;
    this.#guard(socket, () => {
      const runtime = this.#runtime;
      this.#note(socket);
      const { request: detached, body } = createDetachedRequest(request);
      const exchange = receive(detached, socket, runtime);
      this.#open.set(exchange, () => socket.destroy());
      exchange.onEnd(() => this.#ended(exchange));
      const turns = this.#turnsOf(socket);
      const parseAgain = (again: Duplex) => {
        // An upgrade that its route ignores comes back as another request, with an exchange of its own.
        this.#ended(exchange);
        parse(again);
      };
      const setup = { runtime, turns, body, parse: parseAgain };
      const client = new WaitingClient(socket, head);
      const begin = exchange.guarded(() => {
        const turn = new UpgradeTurn(exchange, client, setup);
        if (!this.#refuseClosing(exchange)) turns.take(turn);
      });
      const skip = exchange.guarded(() => exchange.settle("client_gone"));
      afterResponses(socket, { begin, skip });
    });
    return true;
  }

  /** Refuses all further requests; resolves when the last response and the last tunnel have ended. */
  close(): Promise<void> {
    this.#isClosing = true;
    return new Promise((resolve) => {
      this.#onLast = resolve;
      if (this.#open.size === 0) resolve();
    });
  }

  /** Aborts the exchanges under way. */
  abortAll(): void {
    for (const abort of this.#open.values()) abort();
  }

  #isOurs(request: IncomingMessage): boolean {
    const { method = "", rawHeaders } = request;
    const host = fieldValue(rawHeaders, "host") ?? "";
    return hasRoute({ method, url: urlOf(request), rawHeaders }, host, this.#runtime);
  }

  #answer(request: IncomingMessage, nodeResponse: ServerResponse, awaitsContinue: boolean): void {
    const { socket } = request;
    if (socket.destroyed) return;
    this.#note(socket);
    const runtime = this.#runtime;
    const received = { ...createNodeRequest(request), url: urlOf(request) };
    const exchange = receive(received, socket, runtime);
    if (runtime.isDraining) nodeResponse.shouldKeepAlive = false;
    const response = new NodeResponse(nodeResponse, writeMergedHead);
    this.#open.set(exchange, () => socket.destroy());
    if (awaitsContinue) exchange.waitsForContinue(response);
    const isRead = received.body !== undefined && request.readableDidRead;
    const turns = this.#turnsOf(socket);
    const begin = exchange.guarded(() => {
      // Refused while it waited, for a body that did not come.
      if (exchange.isEnded || this.#refuseClosing(exchange)) return;
      if (isRead) exchange.fault(bodyRead());
      else void answer(exchange, response, runtime);
    });
    const skip = exchange.guarded(() => {
      turn.skip();
      turns.done(turn);
    });
    const wait = () => afterResponses(socket, { begin, skip }, nodeResponse);
    const onDone = () => this.#ended(exchange);
    const turn = new RequestTurn(request, exchange, response, { runtime, turns, begin: wait, onDone });
    turns.take(turn);
  }

  #takeCompat(request: Http2ServerRequest): boolean {
    const { stream, rawHeaders, readableDidRead } = request;
    return this.takeStream(stream, rawHeaders, readableDidRead && !stream.endAfterHeaders);
  }

  #answerStream(stream: ServerHttp2Stream, rawHeaders: readonly string[], isRead: boolean): void {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined || stream.destroyed) return;
    const runtime = this.#runtime;
    noteAttachedSession(session, runtime, (error) => runtime.onFault(error));
    const keep = this.#sessions.get(session) ?? keepSessionInMemory(session);
    this.#sessions.set(session, keep);
    keep(stream);
    // The compatibility API would end the body cleanly, also one that sluice has aborted.
    stream.removeAllListeners("wantTrailers");
    const { exchange, response } = answerHttp2(rawHeaders, { stream, connection: session.socket, runtime });
    this.#holdOpen(exchange, response, () => response.breakOff());
    // After a reset with NO_ERROR, Node waits until the client takes the rest of the response, for ever.
    const onAborted = () => {
      if (stream.closed && !response.isWhole) stream.destroy();
    };
    stream.once("aborted", () => setImmediate(exchange.guarded(onAborted)));
    if (!this.#refuseClosing(exchange) && isRead) exchange.fault(bodyRead());
  }

  /** Refuses a request of a gateway that is closing; returns whether it is. */
  #refuseClosing(exchange: Exchange): boolean {
    if (!this.#isClosing) return false;
    // Routed first: the route knows which origins may read the refusal, and whether an EventSource should come back.
    const refuse = exchange.guarded(() => {
      readAndRoute(exchange, this.#runtime);
      throw new ProxyError("closing", "the gateway is closing", { fields: [retrySoon()] });
    });
    refuse();
    return true;
  }

  /** Holds it until the response is closed: with `onClientGone: drain` the exchange lasts until its backend ends. */
  #holdOpen(exchange: Exchange, response: ClientResponse, abort: () => void): void {
    this.#open.set(exchange, abort);
    response.onClose(() => this.#ended(exchange));
  }

  #ended(exchange: Exchange): void {
    this.#open.delete(exchange);
    if (this.#open.size === 0) this.#onLast();
  }

  #note(socket: Socket): void {
    noteAttachedSocket(socket, this.#runtime, (error) => this.#runtime.onFault(error));
    // The program's timeout would end a silent stream; Node sets it again for the next request.
    socket.setTimeout(0);
  }

  #turnsOf(socket: Socket): Turns {
    const known = this.#turns.get(socket);
    if (known !== undefined) return known;
    const turns = new Turns(socket);
    this.#turns.set(socket, turns);
    return turns;
  }

  /** A fault outside of any exchange ends the connection or stream on which it happened. */
  #guard(connection: Duplex, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#runtime.onFault(error);
      connection.destroy();
    }
  }
}

/** Returns the target that the client sent: Express and Fastify change `url` for what is mounted below a path. */
function urlOf(request: IncomingMessage & { readonly originalUrl?: string }): string {
  return request.originalUrl ?? request.url ?? "";
}

function bodyRead(): ProxyError {
  const remedy = "put the gateway before body parsers such as express.json()";
  return new ProxyError(
    "body_already_read",
    `the body was read before the gateway got the request: ${remedy}`,
  );
}
