import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RuntimeRoute } from "../runtime/runtime-route.ts";
import { takePlace } from "./answer.ts";

/** Whether a request is for a stream that many get; what is sent to such a route goes to the backend as ever. */
export function isShared({ request }: Exchange, { hub }: RuntimeRoute): boolean {
  return hub !== undefined && (request.method === "GET" || request.method === "HEAD");
}

/** Answers a request with a shared stream; it holds a place of the limits from before the stream is there. */
export async function subscribe(
  exchange: Exchange,
  response: ClientResponse,
  route: RuntimeRoute,
  runtime: Runtime,
): Promise<void> {
  exchange.request.body?.stream.resume();
  await takePlace(exchange, route, runtime.capacity);
  // The client may have left while the place was counted.
  if (exchange.isEnded || response.isClosed) return;
  const stream = route.hub?.subscribe(exchange, response);
  if (stream === undefined) return;
  runtime.relays.add(stream);
  exchange.onEnd(() => runtime.relays.delete(stream));
}
