import { atTurnEnd, type TurnEndUser } from "../base/turn-end.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { pairs, type RawFields } from "../http/fields.ts";
import type { BorrowedBytes, Sink, Source } from "../http/source.ts";
import { responseTrailers } from "../http/trailers.ts";
import { ClientWriter } from "./client-writer.ts";
import { isStream, ordinaryHead, streamHead } from "./response-head.ts";

/**
 * With this many pending bytes of an ordinary response, or more, the backend is not read; one read may exceed it. A
 * larger buffer gains nothing, and with `clientBuffer` 4,000 clients that hardly read their downloads would hold a
 * gigabyte.
 */
const MAX_PENDING_BYTES = 16 * 1024;

const NO_TRAILERS: [name: string, value: string][] = [];

/** Forwards an ordinary response unchanged, trailer fields included; cancels it when the client leaves. */
export function forward(exchange: Exchange, response: ClientResponse, backend: Source, route: Route): void {
  const { head } = backend;
  const writer = new ClientWriter(exchange, response, {
    clientBuffer: MAX_PENDING_BYTES,
    sendTimeout: route.config.stream.sendTimeout,
  });
  // HEAD on a stream gets the head that GET would get (RFC 9110, section 9.3.2).
  const isHeadOfStream = exchange.request.method === "HEAD" && isStream(exchange, head, route);
  writer.head((isHeadOfStream ? streamHead : ordinaryHead)(exchange, head, route));

  response.onClose(() => {
    if (!response.isWhole) backend.cancel();
  });
  atTurnEnd(new Forwarding(exchange, response, writer, backend));
}

/** The way of one ordinary body from its backend to its client. */
class Forwarding implements Sink, TurnEndUser {
  readonly #exchange: Exchange;
  readonly #response: ClientResponse;
  readonly #writer: ClientWriter;
  readonly #backend: Source;
  #hasBegun = false;

  constructor(exchange: Exchange, response: ClientResponse, writer: ClientWriter, backend: Source) {
    this.#exchange = exchange;
    this.#response = response;
    this.#writer = writer;
    this.#backend = backend;
  }

  turnEnded(): void {
    if (this.#response.isClosed) return;
    // Body bytes that have arrived with the head are sent with it, in one write.
    this.#backend.start(this);
    // A body that has not begun must not hold the head back.
    if (!this.#hasBegun) this.#writer.flush();
  }

  fault(error: unknown): void {
    this.#exchange.fault(error);
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    this.#hasBegun = true;
    this.#exchange.account.addBytes(end - start);
    if (this.#writer.write(bytes, start, end)) return;
    this.#backend.pause();
    this.#writer.onceDrained(() => this.#backend.resume());
  }

  onEnd(rawTrailers: RawFields): void {
    this.#hasBegun = true;
    const trailers = rawTrailers.length === 0 ? NO_TRAILERS : pairs(responseTrailers(rawTrailers));
    this.#writer.end("completed", trailers);
  }

  onError(error: Error): void {
    this.#hasBegun = true;
    this.#writer.abort("backend_failed", error);
  }
}
