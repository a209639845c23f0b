import type { Duplex } from "node:stream";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { isExpected } from "./account.ts";
import { Exchange, type Observer } from "./exchange.ts";
import type { AttemptTrace } from "./exchange-trace.ts";
import type { Route } from "./route.ts";
import { TracedDetachedExchange } from "./traced-exchange.ts";

/** The parts of a client's exchange that a request in its place takes over. */
type Origin = Pick<Exchange, "host" | "target" | "principal" | "consumed">;

export interface Detachment extends Pick<Observer, "log" | "onFault"> {
  readonly route: Route;
  readonly origin: Origin;
  /** The connection of the client whose authenticated backend connection it needs; undefined if it needs none. */
  readonly connection?: Duplex | undefined;
  /** The spans of its attempts; undefined without `tracing`. */
  readonly trace: AttemptTrace | undefined;
}

/**
 * Returns the exchange of a request to a backend that belongs to no single client, as that of a shared stream. It has no
 * log line of its own, and reports its faults at once.
 */
export function detachedExchange(
  request: ClientRequest,
  client: Client,
  { route, log, onFault, origin, connection, trace }: Detachment,
): Exchange {
  const observer: Observer = { log, onSettled() {}, onFault };
  const own = connection && { connection };
  const exchange =
    trace === undefined
      ? new Exchange(request, client, observer, own)
      : new TracedDetachedExchange(request, client, observer, { origin: own, trace });
  exchange.answerFaultsBy((error) => {
    if (!isExpected(error)) onFault(error, { reqId: exchange.id, route: route.config.name });
  });
  exchange.foundHost(origin.host);
  exchange.foundTarget(origin.target);
  exchange.routedTo(route);
  if (origin.principal !== undefined) exchange.verified(origin.principal);
  exchange.consume(origin.consumed);
  return exchange;
}
