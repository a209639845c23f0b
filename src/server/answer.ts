import type { ServerResponse } from "node:http";
import { acceptsEventStream } from "../base/media-type.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { isStream } from "../stream/response-head.ts";
import type { Source } from "../stream/source.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { RuntimeRoute } from "./runtime-route.ts";

/**
 * Opens what answers a request: the route's mock, or the response of a backend.
 *
 * A stream holds a place of the route's limit from before the dial, if the request says that it wants one, so
 * that a crowd waiting for a slow backend is counted too. Other streams get theirs when they turn out to be one.
 */
export async function openAnswer(
  exchange: Exchange,
  response: ServerResponse,
  route: RuntimeRoute,
): Promise<Source> {
  const { streams } = route;
  if (streams === undefined) return open(exchange, response, route);
  const { rawHeaders, method } = exchange.request;
  const { address } = exchange.client;
  let release = method !== "HEAD" && acceptsEventStream(rawHeaders) ? streams.acquire(address) : undefined;
  let source: Source | undefined;
  try {
    source = await open(exchange, response, route);
    if (isStreaming(exchange, source, route)) {
      release ??= streams.acquire(address);
      whenOver(response, source, release);
    } else {
      release?.();
    }
    return source;
  } catch (error) {
    release?.();
    source?.cancel();
    throw error;
  }
}

/** Whether an answer is a stream with a body to relay. */
export function isStreaming({ request }: Exchange, { head }: Source, route: RuntimeRoute): boolean {
  const hasBody = request.method !== "HEAD" && head.statusCode !== 204 && head.statusCode !== 304;
  return hasBody && isStream(head, route);
}

async function open(exchange: Exchange, response: ServerResponse, route: RuntimeRoute): Promise<Source> {
  if (route.mock !== undefined) {
    // Nobody reads the body that came with it, and an unread one would hold up the client.
    exchange.request.resume();
    return route.mock.open(exchange);
  }
  const { upstream } = route;
  exchange.dialledAt = performance.now();
  const requestFor = (backend: Backend) => createBackendRequest(exchange, route, upstream, backend);
  return dialUpstream({ exchange, response, upstream, requestFor });
}

/** With `onClientGone: drain` a stream outlives its client, and keeps its place: it still is a load. */
function whenOver(response: ServerResponse, { head }: Source, release: () => void): void {
  const check = () => {
    if (response.closed && head.closed) release();
  };
  response.once("close", check);
  head.once("close", check);
}
