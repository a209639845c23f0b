import { ProxyError, refusalOf } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ChannelTrace, ConnectionTrace } from "../exchange/exchange-trace.ts";
import type { Source } from "../http/source.ts";
import { metered } from "../llm/metered-source.ts";
import { decodedStream } from "../stream/decoded-source.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { DialStream } from "./backend-link.ts";
import { channelExchange, channelTemplate } from "./channel-exchange.ts";
import type { HubContext } from "./hub-context.ts";
import type { SharedRoute } from "./shared-route.ts";

/** The trace of a channel; undefined without `tracing`. */
export interface ChannelTraced {
  readonly trace: ChannelTrace | undefined;
}

/**
 * Returns the function that opens a channel's stream: from the route's mock, or from a backend, chosen for each attempt.
 * The backend connection counts as an open file from the dial until it has closed. If no file is left, an idle stream
 * gives up its file.
 */
export function dialChannel(
  first: Exchange,
  route: SharedRoute,
  context: Pick<HubContext, "log" | "capacity" | "llm" | "onFault"> & ChannelTraced,
): DialStream {
  const { capacity, llm, trace } = context;
  const template = channelTemplate(first, route);
  const dial = async (
    upstream: Upstream,
    [lastEventId, cancellation, owner]: Parameters<DialStream>,
  ): Promise<Source> => {
    const connection = trace?.connect();
    const exchange = channelExchange(template, lastEventId, context, connection);
    exchange.answerFaultsBy((error) => owner.fault(error));
    const requestFor = (backend: Backend) => ({
      ...createBackendRequest(exchange, route, upstream, backend),
      onClientGone: "cancel" as const,
    });
    const release = capacity.backendFiles.hold();
    cancellation.onClose(release);
    try {
      const dialled = await dialUpstream({ exchange, response: cancellation, upstream, requestFor });
      const source = metered(decodedStream(exchange, dialled), exchange, route, llm);
      source.onClose(release);
      if (connection !== undefined) traceStream(connection, source, lastEventId);
      return source;
    } catch (error) {
      connection?.ended(refusalOf(error).code);
      release();
      throw error;
    }
  };
  return async (...asked) => {
    const [lastEventId, cancellation] = asked;
    const { mock, upstream } = route;
    if (mock !== undefined) {
      const exchange = channelExchange(template, lastEventId, context, undefined);
      return metered(mock.open(exchange), exchange, route, llm);
    }
    try {
      return await dial(upstream, asked);
    } catch (error) {
      const isShort = error instanceof ProxyError && error.code === "connections_exhausted";
      if (!isShort || cancellation.isClosed || !capacity.backendFiles.reclaim()) throw error;
      return dial(upstream, asked);
    }
  };
}

/** Notes a response on the span of its connection, which ends with it. */
function traceStream(connection: ConnectionTrace, source: Source, lastEventId: string): void {
  if (source.head.status === 200) connection.opened(lastEventId !== "");
  source.onClose(() => connection.ended(undefined));
}
