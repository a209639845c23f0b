import type { ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import { ProxyError } from "../base/errors.ts";
import type { Http2Config } from "../config/listen-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";
import { FORWARDED_METHODS } from "../http/request-head.ts";
import { arrivalOf } from "../request/arrival.ts";
import { answer, join, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { BodyTimer } from "./body-timer.ts";
import { createHttp2Request } from "./http2-request.ts";
import { Http2Response } from "./http2-response.ts";
import { Http2Session } from "./http2-session.ts";

/** The HTTP/2 connections of one listener, and the requests on them. */
export class Http2Sessions {
  readonly #runtime: Runtime;
  /** How long, in ms, a connection stays without a stream. */
  readonly #keepAliveMs: number;
  readonly #sessions = new Set<Http2Session>();

  constructor(runtime: Runtime, keepAliveMs: number) {
    this.#runtime = runtime;
    this.#keepAliveMs = keepAliveMs;
  }

  /** Takes a connection on which TLS has negotiated HTTP/2. */
  accept(socket: TLSSocket, bounds: Http2Config): void {
    const { limits } = this.#runtime.config.server;
    const rules = {
      limits,
      bounds,
      keepAliveMs: this.#keepAliveMs,
      answer: (stream: ServerHttp2Stream, rawHeaders: readonly string[]) =>
        this.#answer(stream, rawHeaders, socket),
      tooManyResets: () => {
        this.#runtime.log.warn({ client: arrivalOf(socket).peer }, "connection with too many resets");
      },
      onFault: (error: unknown) => this.#runtime.onFault(error),
    };
    const session = new Http2Session(socket, rules, () => this.#sessions.delete(session));
    this.#sessions.add(session);
  }

  /** Sends GOAWAY on every connection, and ends each with its last stream. */
  close(): void {
    for (const session of this.#sessions) session.close();
  }

  closeAllConnections(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #answer(stream: ServerHttp2Stream, raw: readonly string[], socket: TLSSocket): Http2Response {
    const request = createHttp2Request(stream, raw);
    const exchange = receive(request, socket, this.#runtime);
    const response = new Http2Response(stream, request.body?.stream);
    if (stream.destroyed) {
      exchange.settle("client_gone");
      return response;
    }
    join(exchange, response);
    if (request.body !== undefined) this.#boundBody(stream, exchange, response);
    // In a later turn: a reset that came in the same read has been seen by then, and no backend is dialled.
    const begin = () => {
      if (response.isClosed) return;
      const refused = refusal(exchange, response);
      if (refused === undefined) void answer(exchange, response, this.#runtime);
      else exchange.fault(refused);
    };
    setImmediate(exchange.guarded(begin));
    return response;
  }

  #boundBody(stream: ServerHttp2Stream, exchange: Exchange, response: Http2Response): void {
    let receivedBytes = 0;
    stream.on("data", (chunk: Buffer) => {
      receivedBytes += chunk.length;
    });
    const body = {
      get isOver() {
        return stream.destroyed || stream.readableEnded || stream.state.remoteClose === 1;
      },
      get isAwaited() {
        return !exchange.awaitsContinue && !response.isHeadSent && !stream.isPaused();
      },
      get receivedBytes() {
        return receivedBytes;
      },
    };
    const timer = new BodyTimer(exchange, this.#runtime, body, (refusal) => exchange.fault(refusal));
    exchange.onEnd(() => timer.clear());
  }
}

/** Returns the refusal of a request that no route can serve; undefined for all others. */
function refusal(exchange: Exchange, response: Http2Response): ProxyError | undefined {
  const { method, rawHeaders } = exchange.request;
  if (method === "CONNECT") {
    const fields = [["Allow", FORWARDED_METHODS]] as const;
    return new ProxyError("method_not_allowed", "CONNECT", { fields });
  }
  const expect = fieldValue(rawHeaders, "expect");
  if (expect === undefined) return undefined;
  if (expect.toLowerCase() === "100-continue") {
    exchange.waitsForContinue(response);
    return undefined;
  }
  return new ProxyError("expectation_failed", `Expect: ${expect}`);
}
