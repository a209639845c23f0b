import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { Log } from "../observe/log.ts";
import { Exchange } from "./exchange.ts";
import type { Route } from "./route.ts";

/** The parts of a client's exchange that a request in its place takes over. */
type Origin = Pick<Exchange, "host" | "target" | "principal" | "consumed">;

/**
 * Returns the exchange of a request to a backend that belongs to no single client, as that of a shared stream. It has no
 * log line of its own.
 */
export function detachedExchange(
  request: ClientRequest,
  client: Client,
  { route, log, origin }: { readonly route: Route; readonly log: Log; readonly origin: Origin },
): Exchange {
  const exchange = new Exchange(request, client, {
    log,
    onSettled() {},
    onFault: (err, facts) => log.error({ ...facts, code: "internal_error", err }, "internal error"),
  });
  exchange.foundHost(origin.host);
  exchange.foundTarget(origin.target);
  exchange.routedTo(route);
  if (origin.principal !== undefined) exchange.verified(origin.principal);
  exchange.consume(origin.consumed);
  return exchange;
}
