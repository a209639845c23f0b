import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { ProxyError } from "../base/errors.ts";
import { forwardableTrailers, pairs } from "../base/fields.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { Upstream } from "./upstream.ts";

/** A backend that sends more interim responses than this before its answer will not come to one. */
const MAX_INTERIM_RESPONSES = 10;

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** A request as it goes to the backend. */
export interface BackendRequest {
  readonly path: string;
  /** Flat names and values, sent as they are. */
  readonly fields: readonly string[];
  /** When the client leaves before the response head: give up, or let the backend finish. */
  readonly onClientGone: "cancel" | "drain";
}

/** The backend's answer: its head is here, its body flows when it is read. */
export interface BackendResponse {
  readonly head: IncomingMessage;
  /** Destroys the backend request and its connection. */
  cancel(): void;
}

/**
 * Sends the client's request to the backend and resolves with the response head.
 *
 * Rejects with a ProxyError when there is none. A kept connection that the backend closed in the same
 * moment is not an answer: a request without body that may be repeated is sent once more, on a new one.
 */
export async function dial(
  exchange: Exchange,
  response: ServerResponse,
  upstream: Upstream,
  request: BackendRequest,
): Promise<BackendResponse> {
  const framing = bodyFraming(exchange.request);
  // Chunked bodies travel on connections of their own: a backend that misreads where one ends
  // can then not take its rest for another client's request.
  const reuse = framing !== "chunked";
  try {
    return await attempt(exchange, response, upstream, request, reuse);
  } catch (error) {
    const mayRepeat = framing === "none" && IDEMPOTENT.has(exchange.request.method ?? "");
    if (!(error instanceof StaleSocketError) || !mayRepeat || response.closed) throw error;
    return await attempt(exchange, response, upstream, request, false);
  }
}

/** A kept connection broke before a byte of the response; the backend may never have seen the request. */
class StaleSocketError extends ProxyError {}

/** How the body of a request is framed on the wire. */
export function bodyFraming(request: IncomingMessage): "none" | "length" | "chunked" {
  if (request.headers["transfer-encoding"] !== undefined) return "chunked";
  const length = request.headers["content-length"];
  return length === undefined || length === "0" ? "none" : "length";
}

function attempt(
  exchange: Exchange,
  response: ServerResponse,
  upstream: Upstream,
  { path, fields, onClientGone }: BackendRequest,
  reuse: boolean,
): Promise<BackendResponse> {
  return new Promise((resolve, reject) => {
    const backend = upstream.request(exchange.request.method ?? "GET", path, fields, reuse);
    const timers = new DialTimers(backend, upstream);
    const giveUp = () => backend.destroy();
    if (onClientGone === "cancel") response.once("close", giveUp);

    backend.on("response", (head) => {
      timers.clear();
      response.removeListener("close", giveUp);
      const fault = responseFault(head);
      if (fault === undefined) {
        guardBody(backend, head);
        return resolve({ head, cancel: giveUp });
      }
      reject(new ProxyError("backend_protocol_error", fault));
      backend.destroy();
    });
    backend.on("error", (error: NodeJS.ErrnoException) => {
      timers.clear();
      response.removeListener("close", giveUp);
      reject(failure(error, backend, timers));
    });
    refuseInterim(backend);
    sendBody(exchange.request, backend);
  });
}

/** Bounds the way to the response head: first the connection, then, once the request is out, the answer. */
export class DialTimers {
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  isConnected = false;

  constructor(
    backend: ClientRequest,
    { connectTimeoutMs, responseHeaderTimeoutMs, backend: address }: Upstream,
  ) {
    const arm = (ms: number, code: "backend_connect_timeout" | "backend_timeout") => {
      // An answer may come before the request is out; what it waits for then is no head.
      if (this.#isOver) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => backend.destroy(new ProxyError(code, `${ms} ms passed`)), ms);
    };
    arm(connectTimeoutMs, "backend_connect_timeout");
    const connected = () => {
      this.isConnected = true;
      clearTimeout(this.#timer);
    };
    backend.once("socket", (socket) => {
      if (backend.reusedSocket || !socket.connecting) connected();
      else socket.once(address.tls ? "secureConnect" : "connect", connected);
    });
    // `finish`: the last byte of the request is with the kernel. Before, a long upload is no silent backend.
    backend.once("finish", () => arm(responseHeaderTimeoutMs, "backend_timeout"));
  }

  /** The head is here, or will not come. */
  clear(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
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

function sendBody(client: IncomingMessage, backend: ClientRequest): void {
  if (bodyFraming(client) === "none") {
    backend.end();
    return;
  }
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

export function failure(
  error: NodeJS.ErrnoException,
  backend: ClientRequest,
  timers: DialTimers,
): ProxyError {
  if (error instanceof ProxyError) return error;
  const options = { cause: error };
  if (!timers.isConnected) return new ProxyError("backend_connect_failed", error.message, options);
  if (error.code?.startsWith("HPE_")) return new ProxyError("backend_protocol_error", error.message, options);
  if (backend.reusedSocket) return new StaleSocketError("backend_reset", error.message, options);
  return new ProxyError("backend_reset", error.message, options);
}
