import type { Departure } from "../pipeline/client-response.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { Source } from "../upstream/source.ts";
import { channelExchange, channelTemplate } from "./channel-exchange.ts";
import type { HubSurroundings } from "./hub.ts";
import type { SharedRoute } from "./shared-route.ts";

/**
 * Makes what asks for a channel's stream: the route's mock, or a backend of its group, each time chosen anew. The
 * backend connection counts as an open file from the dial until it has closed.
 */
export function dialChannel(
  first: Exchange,
  route: SharedRoute,
  { log, capacity }: Pick<HubSurroundings, "log" | "capacity">,
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
    const release = capacity.backendFiles.hold();
    asker.onClose(release);
    try {
      const source = await dialUpstream({ exchange, response: asker, upstream, requestFor });
      source.onClose(release);
      return source;
    } catch (error) {
      release();
      throw error;
    }
  };
}
