import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { ProxyError } from "../base/errors.ts";
import { forwardableTrailers, pairs } from "../base/fields.ts";
import type { RequestBody } from "../pipeline/client-request.ts";
import type { ClientResponse } from "../pipeline/client-response.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { Backend } from "./backend.ts";
import { DialError } from "./dial-error.ts";
import { headOf, ReadableSource } from "./readable-source.ts";
import type { Source } from "./source.ts";
import type { Timeouts } from "./upstream.ts";

/** A backend that sends more interim responses than this before its answer will not come to one. */
const MAX_INTERIM_RESPONSES = 10;

/** A request as it goes to the backend. */
export interface BackendRequest {
  readonly path: string;
  /** Flat names and values, sent as they are. */
  readonly fields: readonly string[];
  /** When the client leaves before the response head: give up, or let the backend finish. */
  readonly onClientGone: "cancel" | "drain";
}

/** The request that is to be sent, and what bounds its way. */
export interface Dial {
  readonly exchange: Exchange;
  readonly response: ClientResponse;
  readonly backend: Backend;
  readonly timeouts: Timeouts;
  readonly request: BackendRequest;
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
 * Sends the client's request to one backend and resolves with the response head.
 *
 * Rejects with a DialError when there is none. The backend counts it until the response has ended.
 */
export function dial(
  { exchange, response, backend, timeouts, request: { path, fields, onClientGone } }: Dial,
  reuse: boolean,
): Promise<Source> {
  return new Promise((resolve, reject) => {
    const request = backend.request(exchange.request.method, path, fields, reuse);
    request.once("close", backend.acquire());
    const watch = new DialWatch(request, timeouts, backend.address.tls);
    const giveUp = () => request.destroy();
    const stay = onClientGone === "cancel" ? response.onClose(giveUp) : () => {};

    request.on("response", (head) => {
      watch.clear();
      stay();
      const fault = responseFault(head);
      if (fault === undefined) {
        guardBody(request, head);
        return resolve(new ReadableSource(headOf(head), head, giveUp));
      }
      reject(new DialError("backend_protocol_error", fault, "answered"));
      request.destroy();
    });
    request.on("error", (error: NodeJS.ErrnoException) => {
      watch.clear();
      stay();
      reject(watch.failure(error));
    });
    refuseInterim(request);
    sendBody(exchange, request, watch);
  });
}

/**
 * Watches the way to the response head: how far the request has come, and that each part of the way, first
 * the connection and then, once the request is out, the answer, takes no longer than it may.
 */
export class DialWatch {
  readonly #request: ClientRequest;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #socket: Socket | undefined;
  #isConnected = false;
  /** What the connection had brought before this request. */
  #earlierBytes = 0;
  readonly #onConnected: (() => void)[] = [];

  constructor(request: ClientRequest, { connectTimeout, responseHeaderTimeout }: Timeouts, isTls: boolean) {
    this.#request = request;
    this.#arm(connectTimeout, "backend_connect_timeout");
    request.once("socket", (socket) => {
      this.#socket = socket;
      if (request.reusedSocket || !socket.connecting) this.#connected();
      else socket.once(isTls ? "secureConnect" : "connect", () => this.#connected());
    });
    // `finish`: the last byte of the request is with the kernel. Before, a long upload is no silent backend.
    request.once("finish", () => this.#arm(responseHeaderTimeout, "backend_timeout"));
  }

  /** Calls back once the connection stands. */
  onceConnected(callback: () => void): void {
    this.#onConnected.push(callback);
  }

  /** The head is here, or will not come. */
  clear(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** What an error of the request means, and how far the request had come. */
  failure(error: NodeJS.ErrnoException): DialError {
    if (error instanceof DialError) return error;
    const options = { cause: error };
    const progress = this.#progress();
    if (error instanceof ProxyError) {
      // One of our timers, or what the answer had in it: a connection that broke is the only stale one.
      const sent = progress === "stale" ? "unanswered" : progress;
      return new DialError(error.code, error.message, sent, options);
    }
    const isGarbled = progress === "answered" || error.code?.startsWith("HPE_");
    const code =
      progress === "unsent"
        ? "backend_connect_failed"
        : isGarbled
          ? "backend_protocol_error"
          : "backend_reset";
    return new DialError(code, describe(error), isGarbled ? "answered" : progress, options);
  }

  #arm(ms: number, code: "backend_connect_timeout" | "backend_timeout"): void {
    // An answer may come before the request is out; what it waits for then is no head.
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#request.destroy(new ProxyError(code, `${ms} ms passed`)), ms);
  }

  #connected(): void {
    this.#isConnected = true;
    this.#earlierBytes = this.#socket?.bytesRead ?? 0;
    clearTimeout(this.#timer);
    for (const callback of this.#onConnected) callback();
  }

  #progress(): DialError["progress"] {
    if (!this.#isConnected) return "unsent";
    if ((this.#socket?.bytesRead ?? 0) > this.#earlierBytes) return "answered";
    return this.#request.reusedSocket ? "stale" : "unanswered";
  }
}

/** The error of a name with several addresses has no words of its own. */
function describe(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join("; ");
}

/** Node's client takes 1xx in any number, and an upgrade nobody asked for. */
function refuseInterim(backend: ClientRequest): void {
  let interim = 0;
  backend.on("information", () => {
    interim++;
    if (interim > MAX_INTERIM_RESPONSES) {
      backend.destroy(new ProxyError("backend_protocol_error", "too many interim responses"));
    }
  });
  backend.on("upgrade", (_head, socket) => {
    socket.destroy();
    // Node has taken the request off its socket, so destroying it would raise no error.
    backend.emit("error", new ProxyError("backend_protocol_error", "upgrade without a request for it"));
  });
}

function sendBody(exchange: Exchange, backend: ClientRequest, watch: DialWatch): void {
  const framing = bodyFraming(exchange);
  if (framing === "none") {
    backend.end();
  } else if (framing === "buffered") {
    backend.end(exchange.body);
  } else {
    const { body } = exchange.request;
    // Not before: until then the body can still go to another backend.
    if (body !== undefined) watch.onceConnected(() => pipeBody(body, backend));
  }
}

function pipeBody({ stream: client }: RequestBody, backend: ClientRequest): void {
  // Node holds the head back for the first bytes of the body, and a backend may answer without any. In the
  // common case they came with the head and leave with it, hence not at once.
  setImmediate(() => {
    if (!backend.writableEnded && !backend.destroyed) backend.flushHeaders();
  });
  // No pipe's end: trailers go between the last chunk and the end.
  client.pipe(backend, { end: false });
  client.once("end", () => {
    const trailers = forwardableTrailers(client.rawTrailers);
    if (trailers.length > 0) backend.addTrailers(pairs(trailers));
    backend.end();
  });
  backend.once("close", () => {
    // Answered early, or broken: the rest of the upload is read and dropped, so that the answer arrives
    // instead of a reset. `limits.requestTimeout` bounds it.
    client.unpipe(backend);
    client.resume();
  });
}

/** Watches over a body that Node's client would let end too early, or a connection it would keep too long. */
function guardBody(backend: ClientRequest, head: IncomingMessage): void {
  // Of a body that ends with its connection Node takes a reset for the end; only the request hears of it.
  backend.on("error", (error) => {
    // Stray bytes behind a whole body fault no body; and one that nobody reads yet is broken off by Node.
    if (!head.complete && head.readableFlowing !== null) head.destroy(error);
  });
  head.once("end", () => {
    // The whole answer is here and the request is not: the rest of it has no reader.
    if (!backend.writableFinished) backend.destroy();
  });
}

/** What is wrong with a response head that Node's client accepts. */
export function responseFault({ statusCode = 0, rawHeaders }: IncomingMessage): string | undefined {
  if (statusCode < 200 || statusCode > 599) return `status ${statusCode}`;
  let codings = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== "transfer-encoding") continue;
    codings++;
    if (codings > 1 || rawHeaders[at + 1]?.toLowerCase() !== "chunked")
      return "Transfer-Encoding other than one chunked";
  }
  return undefined;
}
