import { performance } from "node:perf_hooks";
import { afterReads } from "../base/after-reads.ts";
import { ProxyError } from "../base/errors.ts";
import { atTurnEnd, type TurnEndUser } from "../base/turn-end.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { WholeBody } from "../exchange/whole-body.ts";
import type { Cancellation } from "../http/client-response.ts";
import { fieldValue, type RawFields } from "../http/fields.ts";
import { renderRequest } from "../http/render-head.ts";
import type { ResponseParser } from "../http/response-parser.ts";
import type { BorrowedBytes, Source, SourceHead } from "../http/source.ts";
import type { Backend } from "./backend.ts";
import { BackendResponse } from "./backend-response.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionUser } from "./connection-user.ts";
import { type DialError, dialError, dialProgress, dialTimeout } from "./dial-error.ts";
import { authenticatesConnection, challengesConnection, PinnedConnections } from "./pinned-connections.ts";
import type { UploadBody } from "./upload.ts";
import type { Timeouts } from "./upstream.ts";

/** A request as it is sent to the backend. */
export interface BackendRequest {
  readonly path: string;
  /** Flat names and values, sent as they are; made for this one attempt, which adds those of its connection. */
  readonly fields: string[];
  /** Returns those of the client's trailer fields that are forwarded behind a streamed body. */
  trailersOf(raw: RawFields): RawFields;
  /** When the client leaves before the response head: cancel the request, or let the backend finish. */
  readonly onClientGone: "cancel" | "drain";
}

/** A request for one backend, with its timeouts and the receivers of the outcome. */
export interface DialOptions {
  readonly exchange: Exchange;
  readonly response: Cancellation;
  readonly backend: Backend;
  readonly timeouts: Timeouts;
  readonly request: BackendRequest;
  /** Called with each interim response that comes before the response. */
  readonly onInterim?: ((head: SourceHead) => void) | undefined;
  /** Gets the response when its head has come, before the bytes behind it are given to the response; or the failure. */
  readonly outcome: DialOutcome;
}

/** Receives the outcome of one dial. */
export interface DialOutcome {
  responded(response: Source): void;
  failed(error: DialError): void;
}

/** Returns how a request's body is framed on the wire; `buffered` if a step of the route has read it whole. */
export function bodyFraming({
  request,
  body,
}: Pick<Exchange, "request" | "body">): "none" | "buffered" | "length" | "chunked" {
  if (body !== undefined) return body.length === 0 ? "none" : "buffered";
  if (request.body === undefined) return "none";
  return request.body.length === undefined ? "chunked" : "length";
}

/** The connection of a request. */
export interface ConnectionUse {
  /** Whether the request is sent on a new connection even if there is an idle one. */
  readonly isAlone: boolean;
  /** How long, in ms, the connection may then wait for another request; 0 if it serves no other. */
  readonly keepMs: number;
  /** Whether a connection may be pinned to the client's: `upstream.keepAlive` is not off. */
  readonly mayPin: boolean;
  /** Whether the request may be sent again if the backend closes an idle connection under it. */
  readonly isRepeatable: boolean;
}

/**
 * Sends the client's request to one backend, and tells the outcome. The backend counts the request as in
 * flight until the response has ended.
 */
export function dial(options: DialOptions, use: ConnectionUse): void {
  const { exchange, response, backend, request } = options;
  const { method } = exchange.request;
  // RFC 9110 section 10.1.4: TE is for this connection only, and says so.
  const option = fieldValue(request.fields, "te") === undefined ? "" : ", TE";
  const pins = use.mayPin ? pinsFor(options) : undefined;
  const keepMs = pins === undefined ? use.keepMs : Number.POSITIVE_INFINITY;
  request.fields.push("Connection", (keepMs > 0 ? "keep-alive" : "close") + option);
  const head = renderRequest(method, request.path, request.fields);
  const kept = use.isAlone ? undefined : takeIdle(backend, pins, use);
  const connection = kept ?? backend.connections.connect();
  if (pins !== undefined) connection.keepFor(pins);
  const { isAlone, mayPin, isRepeatable } = use;
  // Spelled out: spreading took a thirtieth of the time of an ordinary request.
  const wire = { isAlone, keepMs, mayPin, isRepeatable, head, isReused: kept !== undefined };
  const started = new Dial(options, connection, wire);
  connection.begin(started, method === "HEAD", backend.acquire());
  if (request.onClientGone === "cancel") started.cancelWith(response);
  else started.cancelAtEnd();
  if (kept !== undefined) started.sendOnKept();
}

/** Returns the pinned connections of the client if they are those of this backend, or this request makes them so. */
function pinsFor({ exchange, backend, request }: DialOptions): PinnedConnections | undefined {
  const { connections } = backend;
  if (authenticatesConnection(request.fields)) return PinnedConnections.pin(exchange, connections);
  const pins = PinnedConnections.of(exchange);
  return pins?.has(connections) ? pins : undefined;
}

function takeIdle(
  { connections }: Backend,
  pins: PinnedConnections | undefined,
  { keepMs }: ConnectionUse,
): Connection | undefined {
  return pins?.take(connections) ?? (keepMs > 0 ? connections.take() : undefined);
}

interface WireRequest extends ConnectionUse {
  /** The request's head. */
  readonly head: string;
  /** Whether the connection has served a request before. */
  readonly isReused: boolean;
}

/**
 * One request until its response head: `timeouts` bound the connecting and, once the request is sent, the wait for the
 * response head.
 */
class Dial implements ConnectionUser, TurnEndUser {
  readonly #options: DialOptions;
  readonly #connection: Connection;
  readonly #wire: WireRequest;
  /** When the connecting began, by `performance.now()`; 0 on a kept connection. */
  readonly #startedAt: number;
  #isConnected = false;
  #isSent = false;
  #isAnswered = false;
  #isOver = false;
  /** Ends the listening for a cancellation. */
  #stay: () => void = () => {};

  constructor(options: DialOptions, connection: Connection, wire: WireRequest) {
    this.#options = options;
    this.#connection = connection;
    this.#wire = wire;
    this.#startedAt = wire.isReused ? 0 : performance.now();
    if (!wire.isReused) connection.setDeadline(options.timeouts.connectTimeout);
  }

  /** Cancels the request when the client leaves. */
  cancelWith(response: Cancellation): void {
    this.#stay = response.onClose(() => this.#fail(new Error("the client has left")));
  }

  /**
   * Cancels the request when the exchange ends. A client that leaves does not end the exchange, but a fault does: an
   * aborted upload would have no other end.
   */
  cancelAtEnd(): void {
    const { exchange } = this.#options;
    const cancel = () => this.#fail(new Error("the request has ended"));
    this.#stay = () => exchange.offEnd(cancel);
    exchange.onEnd(cancel);
  }

  /**
   * Sends the request on a connection that was idle, at the end of the turn. One that may not be sent twice waits until
   * the process has read what the kernel had for it: if the backend has closed the connection, the request gets another.
   */
  sendOnKept(): void {
    this.#isConnected = true;
    if (this.#wire.isRepeatable) atTurnEnd(this);
    else afterReads(this.#options.exchange.guarded(() => this.#send()));
  }

  turnEnded(): void {
    this.#send();
  }

  onConnected(): void {
    this.#isConnected = true;
    this.#connection.liftDeadline();
    this.#options.backend.record.connects.observe((performance.now() - this.#startedAt) / 1000);
    this.#send();
  }

  #send(): void {
    if (this.#isOver) return;
    this.#isSent = true;
    const { exchange, request } = this.#options;
    // Not earlier: until the connection is open the body can still be sent to another backend.
    this.#connection.send(this.#wire.head, bodyToSend(exchange, request));
  }

  onSent(): void {
    // Not earlier: the backend of a long upload is not silent.
    this.#connection.setDeadline(this.#options.timeouts.responseHeaderTimeout);
  }

  onLate(): void {
    this.#fail(dialTimeout(this.#isConnected, this.#options.timeouts));
  }

  onRead(parser: ResponseParser, bytes: BorrowedBytes): void {
    // A response to no request, such as the 408 with which servers close idle connections.
    if (!this.#isSent) {
      this.#fail(new Error("bytes on an idle connection"));
      return;
    }
    this.#isAnswered = true;
    for (const head of parser.interim) this.#options.onInterim?.(head);
    if (parser.head !== undefined) this.#answered(parser.head, parser, bytes);
    else if (parser.fault !== undefined) this.#fail(new ProxyError("backend_protocol_error", parser.fault));
  }

  onEnd(): void {
    this.onBroken(Object.assign(new Error("the backend closed the connection"), { code: "ECONNRESET" }));
  }

  fault(error: unknown): void {
    this.#options.exchange.fault(error);
  }

  onBroken(error: Error): void {
    this.#over();
    const state = {
      isConnected: this.#isConnected,
      isSent: this.#isSent,
      isAnswered: this.#isAnswered,
      isReused: this.#wire.isReused,
    };
    this.#options.outcome.failed(dialError(error, dialProgress(state)));
  }

  #answered(head: SourceHead, parser: ResponseParser, bytes: Buffer): void {
    this.#over();
    const response = new BackendResponse(head, this.#connection, {
      keepMs: this.#keepMsAfter(head),
      owner: this.#options.exchange,
    });
    try {
      this.#options.outcome.responded(response);
    } catch (error) {
      // The response owns the connection now. It has no sink yet, so it could not report the fault to the exchange.
      response.cancel();
      this.fault(error);
      return;
    }
    response.onRead(parser, bytes);
  }

  /** Returns how long the connection may wait for another request; pins it first if the response asks for that. */
  #keepMsAfter({ rawHeaders }: SourceHead): number {
    const { keepMs, mayPin } = this.#wire;
    if (keepMs === 0 || !challengesConnection(rawHeaders)) return keepMs;
    const { exchange, backend } = this.#options;
    const pins = mayPin ? PinnedConnections.pin(exchange, backend.connections) : undefined;
    if (pins !== undefined) this.#connection.keepFor(pins);
    return pins === undefined ? 0 : Number.POSITIVE_INFINITY;
  }

  #fail(error: Error): void {
    this.#connection.destroy();
    this.onBroken(error);
  }

  #over(): void {
    this.#isOver = true;
    this.#connection.endDeadline();
    this.#stay();
  }
}

function bodyToSend(
  { body: whole, request: { body }, account }: Exchange,
  { trailersOf }: BackendRequest,
): WholeBody | UploadBody | undefined {
  if (whole === undefined) return body && { ...body, trailersOf, account };
  return whole.length === 0 ? undefined : whole;
}
