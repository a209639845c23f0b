import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RuntimeRoute } from "../runtime/runtime-route.ts";
import { forward } from "../stream/ordinary.ts";
import { Relay } from "../stream/relay.ts";
import { discard } from "../upstream/discard.ts";
import type { OpenedAnswer } from "./answer.ts";

/** How long, in ms, a mock may be silent after its client has left. */
const MAX_SILENCE_MS = 60_000;

/** A client with its response, and the route and runtime that serve it. */
export interface Served {
  readonly exchange: Exchange;
  readonly response: ClientResponse;
  readonly route: RuntimeRoute;
  readonly runtime: Runtime;
}

/** Gives a client the response of a backend or a mock: relays a stream, forwards any other response. */
export function deliver({ exchange, response, route, runtime }: Served, answer: OpenedAnswer): void {
  const { source, isStream } = answer;
  if (isStream) relayTo({ exchange, response, route, runtime }, source);
  else if (response.isClosed) finishWithoutClient(exchange, source, route);
  else forward(exchange, response, source, route);
}

/** Also for a client that has left, with `onClientGone: drain`: the route's timeouts bound it. */
function relayTo({ exchange, response, route, runtime }: Served, backend: Source): void {
  const relay = new Relay(exchange, response, backend, route);
  if (!response.isClosed) exchange.streamOpened();
  exchange.forgetHead();
  relay.start(runtime.relays);
}

/** Lets a backend finish an ordinary response whose client has left (`onClientGone: drain`). */
function finishWithoutClient(exchange: Exchange, backend: Source, { config, upstream }: RuntimeRoute): void {
  // A mock has no upstream timeouts; it is never silent for long.
  const silenceMs = config.stream.idleTimeout ?? upstream?.timeouts.responseHeaderTimeout ?? MAX_SILENCE_MS;
  discard(backend, silenceMs, exchange);
}
