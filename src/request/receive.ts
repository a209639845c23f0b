import { Exchange } from "../exchange/exchange.ts";
import { fail } from "../exchange/reply.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Arrival } from "./arrival.ts";
import { handle } from "./handler.ts";

/** Begins the account of a request that came in on a connection; `host` is its Host field, empty without one. */
export function receive(request: ClientRequest, host: string, arrival: Arrival, runtime: Runtime): Exchange {
  const { rawHeaders } = request;
  const client = runtime.trust.resolveClient({ peer: arrival.peer, tls: arrival.tls, rawHeaders, host });
  return new Exchange(request, client, runtime, arrival.isOverflow);
}

/**
 * Joins an exchange and the response that answers it: the exchange is settled when the response closes, and answers
 * its faults on it.
 */
export function join(exchange: Exchange, response: ClientResponse): void {
  response.ownedBy(exchange);
  exchange.answerFaultsBy((error) => fail(exchange, response, error));
  response.onClose(() => exchange.settle(response.isWhole ? "completed" : "client_gone"));
}

/** Answers a request that was joined with its response; whatever goes wrong is a fault of the exchange. */
export function answer(exchange: Exchange, response: ClientResponse, runtime: Runtime): void {
  handle(exchange, response, runtime).catch((error: unknown) => exchange.fault(error));
}
