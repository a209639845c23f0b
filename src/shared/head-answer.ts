import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { SharedRoute } from "./shared-route.ts";
import { pollHead, subscriberHead } from "./subscriber-head.ts";
import type { Subscription } from "./subscription.ts";

/** Answers a HEAD: what a GET would be answered with if its stream is there. The backend is not asked for it. */
export function answerHead(
  exchange: Exchange,
  response: ClientResponse,
  route: SharedRoute,
  { poll }: Subscription,
): void {
  const head =
    poll === undefined ? subscriberHead(exchange, route, undefined) : pollHead(exchange, route, undefined);
  response.writeHead(head.status, head.reason, head.fields);
  exchange.headSent(head.status);
  response.end();
}
