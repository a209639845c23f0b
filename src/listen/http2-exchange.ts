import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";
import { FORWARDED_METHODS } from "../http/request-head.ts";
import { answer, join, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { BodyTimer } from "./body-timer.ts";
import { createHttp2Request } from "./http2-request.ts";
import { Http2Response } from "./http2-response.ts";

/** A stream on which a request has come. */
export interface RequestStream {
  readonly stream: ServerHttp2Stream;
  /** The connection of its session. */
  readonly connection: Duplex;
  readonly runtime: Runtime;
}

/**
 * Begins the exchange of a request on an HTTP/2 stream, and answers it in a later turn of the event loop. `rawHeaders`
 * are its fields, pseudo-fields included.
 */
export function answerHttp2(
  rawHeaders: readonly string[],
  { stream, connection, runtime }: RequestStream,
): { readonly exchange: Exchange; readonly response: Http2Response } {
  const request = createHttp2Request(stream, rawHeaders);
  const exchange = receive(request, connection, runtime);
  const response = new Http2Response(stream, request.body?.stream);
  if (stream.destroyed) {
    exchange.settle("client_gone");
    return { exchange, response };
  }
  join(exchange, response);
  if (request.body !== undefined) boundBody(stream, exchange, response, runtime);
  // In a later turn: a reset that came in the same read has been seen by then, and no backend is dialled.
  const begin = () => {
    if (response.isClosed || response.isHeadSent) return;
    const refused = refusal(exchange, response);
    if (refused === undefined) void answer(exchange, response, runtime);
    else exchange.fault(refused);
  };
  setImmediate(exchange.guarded(begin));
  return { exchange, response };
}

function boundBody(
  stream: ServerHttp2Stream,
  exchange: Exchange,
  response: Http2Response,
  runtime: Runtime,
): void {
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
  const timer = new BodyTimer(exchange, runtime, body, (refusal) => exchange.fault(refusal));
  exchange.onEnd(() => timer.clear());
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
