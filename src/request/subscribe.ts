import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RuntimeRoute } from "../runtime/runtime-route.ts";
import { takePlace } from "./answer.ts";

/** Whether a request is for a shared stream; other methods on such a route go to the backend. */
export function isShared({ request }: Exchange, { hub }: RuntimeRoute): boolean {
  return hub !== undefined && (request.method === "GET" || request.method === "HEAD");
}

/** Answers a request with a shared stream; takes a place of the limits before it subscribes. */
export async function subscribe(
  exchange: Exchange,
  response: ClientResponse,
  route: RuntimeRoute,
  runtime: Runtime,
): Promise<void> {
  exchange.request.body?.stream.resume();
  await takePlace(exchange, route, runtime.capacity);
  // The client may have left while the place was being taken.
  if (exchange.isEnded || response.isClosed) return;
  route.hub?.subscribe(exchange, response, runtime.relays);
}
