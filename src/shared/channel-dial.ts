import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { channelExchange, channelTemplate } from "./channel-exchange.ts";
import type { HubSurroundings } from "./hub-surroundings.ts";
import type { SharedRoute } from "./shared-route.ts";

/**
 * Makes what asks for a channel's stream: the route's mock, or a backend of its group, each time chosen anew. The
 * backend connection counts as an open file from the dial until it has closed; where no file is left for it, that of an
 * idle stream is taken.
 */
export function dialChannel(
  first: Exchange,
  route: SharedRoute,
  { log, capacity }: Pick<HubSurroundings, "log" | "capacity">,
): (lastEventId: string, asker: Cancellation) => Promise<Source> {
  const template = channelTemplate(first, route);
  const dial = async (upstream: Upstream, lastEventId: string, asker: Cancellation): Promise<Source> => {
    const exchange = channelExchange(template, lastEventId, log);
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
  return async (lastEventId, asker) => {
    const { mock, upstream } = route;
    if (mock !== undefined) return mock.open(channelExchange(template, lastEventId, log));
    try {
      return await dial(upstream, lastEventId, asker);
    } catch (error) {
      const isShort = error instanceof ProxyError && error.code === "connections_exhausted";
      if (!isShort || asker.isClosed || !capacity.backendFiles.reclaim()) throw error;
      return dial(upstream, lastEventId, asker);
    }
  };
}
