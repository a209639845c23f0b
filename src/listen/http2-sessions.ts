import type { ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Http2Config } from "../config/listen-schema.ts";
import { arrivalOf } from "../request/arrival.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { answerHttp2 } from "./http2-exchange.ts";
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
    const runtime = this.#runtime;
    const { limits } = runtime.config.server;
    const rules = {
      limits,
      bounds,
      keepAliveMs: this.#keepAliveMs,
      answer: (stream: ServerHttp2Stream, rawHeaders: readonly string[]) =>
        answerHttp2(rawHeaders, { stream, connection: socket, runtime }).response,
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
}
