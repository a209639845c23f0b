import type { Duplex } from "node:stream";
import { Exchange } from "../exchange/exchange.ts";
import { fail } from "../exchange/reply.ts";
import { TracedExchange } from "../exchange/traced-exchange.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { fieldValue } from "../http/fields.ts";
import { regrowYoungGeneration } from "../process/internals/young-generation.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { boundUnread } from "../stream/stall-timer.ts";
import { arrivalOf } from "./arrival.ts";
import { handle } from "./handler.ts";

/**
 * Begins the exchange of a request that came in on a connection, whichever parser has read it: node:http, HTTP/2 or the
 * fast path.
 */
export function receive(request: ClientRequest, connection: Duplex, runtime: Runtime): Exchange {
  regrowYoungGeneration();
  const { peer, tls, isOverflow } = arrivalOf(connection);
  const { rawHeaders } = request;
  const host = fieldValue(rawHeaders, "host") ?? "";
  const client = runtime.trust.resolveClient({ peer, tls, rawHeaders, host });
  if (!client.isTrusted) runtime.unknownProxies.note(peer, rawHeaders);
  const origin = { connection, isOverflow };
  const trace = runtime.tracing?.begin(request, client, peer);
  if (trace === undefined) return new Exchange(request, client, runtime, origin);
  return new TracedExchange(request, client, runtime, { origin, trace });
}

/**
 * Joins an exchange with its response: the exchange is settled when the response closes, and its faults are answered
 * with that response.
 */
export function join(exchange: Exchange, response: ClientResponse): void {
  exchange.answerFaultsBy(answerFault, response);
  response.usedBy(exchange);
}

function answerFault(error: unknown, exchange: Exchange, response: ClientResponse | undefined): void {
  if (response === undefined) return;
  fail(exchange, response, error);
  boundUnread(response, exchange);
}

/** Answers a request that was joined with its response; any error is a fault of the exchange. Never rejects. */
export async function answer(exchange: Exchange, response: ClientResponse, runtime: Runtime): Promise<void> {
  try {
    await handle(exchange, response, runtime);
    boundUnread(response, exchange);
  } catch (error) {
    exchange.fault(error);
  }
}
