import type { Log } from "../observe/log.ts";
import type { Departure } from "../pipeline/client-response.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { Source } from "../upstream/source.ts";
import { channelExchange, channelTemplate } from "./channel-exchange.ts";
import type { SharedRoute } from "./shared-route.ts";

/** Makes what asks for a channel's stream: the route's mock, or a backend of its group, each time chosen anew. */
export function dialChannel(
  first: Exchange,
  route: SharedRoute,
  log: Log,
): (lastEventId: string, asker: Departure) => Promise<Source> {
  const template = channelTemplate(first, route);
  return async (lastEventId, asker) => {
    const exchange = channelExchange(template, lastEventId, log);
    if (route.mock !== undefined) return route.mock.open(exchange);
    const { upstream } = route;
    const requestFor = (backend: Backend) => ({
      ...createBackendRequest(exchange, route, upstream, backend),
      onClientGone: "cancel" as const,
    });
    return dialUpstream({ exchange, response: asker, upstream, requestFor });
  };
}
