import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { WholeBody } from "../exchange/whole-body.ts";
import type { RequestBody } from "../http/client-request.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { RawFields } from "../http/fields.ts";
import { renderRequest } from "../http/render-head.ts";
import type { ResponseParser } from "../http/response-parser.ts";
import type { Source, SourceHead } from "../http/source.ts";
import { Answer } from "./backend-response.ts";
import type { Backend } from "./backend.ts";
import type { Connection, ConnectionUser } from "./connection.ts";
import { type DialError, dialError } from "./dial-error.ts";
import type { UploadBody } from "./upload.ts";
import type { Timeouts } from "./upstream.ts";

/** A request as it goes to the backend. */
export interface BackendRequest {
  readonly path: string;
  /** Flat names and values, sent as they are. */
  readonly fields: readonly string[];
  /** Returns what of the client's trailers goes on behind a body that streams through. */
  trailersOf(raw: RawFields): RawFields;
  /** When the client leaves before the response head: give up, or let the backend finish. */
  readonly onClientGone: "cancel" | "drain";
}

/** The request that is to be sent, and what bounds its way. */
export interface Dial {
  readonly exchange: Exchange;
  readonly response: Cancellation;
  readonly backend: Backend;
  readonly timeouts: Timeouts;
  readonly request: BackendRequest;
  /** Called with the answer as its head has come, before what came behind that is given to it. */
  answered(answer: Source): void;
  failed(error: DialError): void;
}

/** How the body of a request is framed on the wire; `buffered` when a stage has read it whole. */
export function bodyFraming({
  request,
  body,
}: Pick<Exchange, "request" | "body">): "none" | "buffered" | "length" | "chunked" {
  if (body !== undefined) return body.length === 0 ? "none" : "buffered";
  if (request.body === undefined) return "none";
  return request.body.length === undefined ? "chunked" : "length";
}

/**
 * Sends the client's request to one backend, and calls `answered` or `failed`. The backend counts it until the response
 * has ended.
 */
export function dial(details: Dial, reuse: boolean): void {
  const { exchange, response, backend, request } = details;
  const { method } = exchange.request;
  const fields = [...request.fields, "Connection", reuse ? "keep-alive" : "close"];
  const head = renderRequest(method, request.path, fields);
  const kept = reuse ? backend.connections.take() : undefined;
  const connection = kept ?? backend.connections.connect();
  const dialling = new Dialling(details, connection, { head, reuse, isReused: kept !== undefined });
  connection.begin(dialling, method === "HEAD", backend.acquire());
  if (request.onClientGone === "cancel") dialling.giveUpWith(response);
  else dialling.giveUpAtEnd();
  if (kept !== undefined) dialling.onConnected();
}

interface Way {
  /** The request's head. */
  readonly head: string;
  readonly reuse: boolean;
  readonly isReused: boolean;
}

/**
 * The way of one request to its response head: first the connection and then, once the request is out, the answer
 * takes no longer than it may.
 */
class Dialling implements ConnectionUser {
  readonly #details: Dial;
  readonly #connection: Connection;
  readonly #way: Way;
  #isConnected = false;
  #isAnswered = false;
  #stay: () => void = () => {};

  constructor(details: Dial, connection: Connection, way: Way) {
    this.#details = details;
    this.#connection = connection;
    this.#way = way;
    if (!way.isReused) connection.setDeadline(details.timeouts.connectTimeout);
  }

  giveUpWith(response: Cancellation): void {
    this.#stay = response.onClose(() => this.#fail(new Error("the client has left")));
  }

  /** A client that leaves does not end the exchange, yet a fault does: nothing else would end an upload that broke off. */
  giveUpAtEnd(): void {
    const { exchange } = this.#details;
    const giveUp = () => this.#fail(new Error("the request has ended"));
    this.#stay = () => exchange.offEnd(giveUp);
    exchange.onEnd(giveUp);
  }

  onConnected(): void {
    this.#isConnected = true;
    this.#connection.liftDeadline();
    const { body, request } = this.#details.exchange;
    // Not before: until then the body can still go to another backend.
    this.#connection.send(this.#way.head, bodyToSend(body, request.body, this.#details.request));
  }

  onSent(): void {
    // Not before: a long upload is no silent backend.
    this.#connection.setDeadline(this.#details.timeouts.responseHeaderTimeout);
  }

  onLate(): void {
    const { connectTimeout, responseHeaderTimeout } = this.#details.timeouts;
    const fault = this.#isConnected
      ? new ProxyError("backend_timeout", `${responseHeaderTimeout} ms passed`)
      : new ProxyError("backend_connect_timeout", `${connectTimeout} ms passed`);
    this.#fail(fault);
  }

  onRead(parser: ResponseParser, bytes: Buffer): void {
    this.#isAnswered = true;
    if (parser.head !== undefined) this.#answered(parser.head, parser, bytes);
    else if (parser.fault !== undefined) this.#fail(new ProxyError("backend_protocol_error", parser.fault));
  }

  onEnd(): void {
    this.onBroken(Object.assign(new Error("the backend closed the connection"), { code: "ECONNRESET" }));
  }

  fault(error: unknown): void {
    this.#details.exchange.fault(error);
  }

  onBroken(error: Error): void {
    this.#over();
    this.#details.failed(dialError(error, this.#progress()));
  }

  #answered(head: SourceHead, parser: ResponseParser, bytes: Buffer): void {
    this.#over();
    const answer = new Answer(head, this.#connection, {
      mayKeep: this.#way.reuse,
      owner: this.#details.exchange,
    });
    this.#details.answered(answer);
    answer.onRead(parser, bytes);
  }

  #fail(error: Error): void {
    this.#connection.destroy();
    this.onBroken(error);
  }

  #over(): void {
    this.#connection.endDeadline();
    this.#stay();
  }

  #progress(): DialError["progress"] {
    if (!this.#isConnected) return "unsent";
    if (this.#isAnswered) return "answered";
    return this.#way.isReused ? "stale" : "unanswered";
  }
}

function bodyToSend(
  whole: WholeBody | undefined,
  body: RequestBody | undefined,
  { trailersOf }: BackendRequest,
): WholeBody | UploadBody | undefined {
  if (whole === undefined) return body && { ...body, trailersOf };
  return whole.length === 0 ? undefined : whole;
}
