import { performance } from "node:perf_hooks";
import { ProxyError } from "../base/errors.ts";
import { acceptsEventStream } from "../base/media-type.ts";
import type { Capacity } from "../pipeline/capacity.ts";
import type { ClientResponse } from "../pipeline/client-response.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { backendRetryAfter, retrySoon } from "../pipeline/retry-after.ts";
import { isWorthRetrying } from "../pipeline/retry-reply.ts";
import type { Release, StreamLimit } from "../pipeline/stream-limit.ts";
import { isStream } from "../stream/response-head.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import type { Source } from "../upstream/source.ts";
import type { RuntimeRoute } from "./runtime-route.ts";

/**
 * Opens what answers a request: the route's mock, or the response of a backend.
 *
 * A stream holds a place of the gateway's limit and of the route's from before the dial, if the request says
 * that it wants one, so that a crowd waiting for a slow backend is counted too. Other streams get theirs when
 * they turn out to be one.
 */
export async function openAnswer(
  exchange: Exchange,
  response: ClientResponse,
  route: RuntimeRoute,
  capacity: Capacity,
): Promise<Source> {
  const { rawHeaders, method } = exchange.request;
  const acquire = () => acquirePlace(exchange, route, capacity);
  const place = method !== "HEAD" && acceptsEventStream(rawHeaders) ? acquire() : undefined;
  let release = place instanceof Promise ? await place : place;
  let source: Source | undefined;
  try {
    source = await open(exchange, response, route);
    if (route.mock === undefined && isWorthRetrying(exchange, source.head.status)) throw overloaded(source);
    if (isStreaming(exchange, source, route)) {
      release ??= await acquire();
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
  const hasBody = request.method !== "HEAD" && head.status !== 204 && head.status !== 304;
  return hasBody && isStream(head, route);
}

function open(exchange: Exchange, response: ClientResponse, route: RuntimeRoute): Source | Promise<Source> {
  if (route.mock !== undefined) {
    // Nobody reads the body that came with it, and an unread one would hold up the client.
    exchange.request.body?.stream.resume();
    return route.mock.open(exchange);
  }
  const { upstream } = route;
  exchange.dialledAt = performance.now();
  const requestFor = (backend: Backend) => createBackendRequest(exchange, route, upstream, backend);
  return dialUpstream({ exchange, response, upstream, requestFor });
}

function overloaded({ head }: Source): ProxyError {
  return new ProxyError("backend_overloaded", `status ${head.status}`, {
    fields: [backendRetryAfter(head) ?? retrySoon()],
  });
}

/** A place of the gateway's and one of the route's, or neither. */
export function acquirePlace(
  { client }: Exchange,
  { streams, upstream, hub }: RuntimeRoute,
  capacity: Capacity,
): Release | Promise<Release> {
  const hasOwnBackend = upstream !== undefined && hub === undefined;
  const ofGateway = capacity.acquireStream(client.address, hasOwnBackend);
  return streams === undefined ? ofGateway : acquireBoth(ofGateway, streams, client.address);
}

async function acquireBoth(
  ofGateway: Release | Promise<Release>,
  streams: StreamLimit,
  address: string,
): Promise<Release> {
  const leaveGateway = await ofGateway;
  try {
    const leaveRoute = await streams.acquire(address);
    return () => {
      leaveRoute();
      leaveGateway();
    };
  } catch (error) {
    leaveGateway();
    throw error;
  }
}

/** With `onClientGone: drain` a stream outlives its client, and keeps its place: it still is a load. */
function whenOver(response: ClientResponse, source: Source, release: Release): void {
  let open = 2;
  const closed = () => {
    open -= 1;
    if (open === 0) release();
  };
  response.onClose(closed);
  source.onClose(closed);
}
