import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { isWorthRetrying } from "../exchange/reply.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { backendRetryAfter, retrySoon } from "../http/retry-after.ts";
import type { Source, SourceHead } from "../http/source.ts";
import type { Capacity } from "../limits/capacity.ts";
import type { Places } from "../limits/counter-store.ts";
import { metered } from "../llm/metered-source.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RuntimeRoute } from "../runtime/runtime-route.ts";
import { decodedStream } from "../stream/decoded-source.ts";
import { isFromOldProxy } from "../stream/interim.ts";
import { interimFields, isStream } from "../stream/response-head.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";

/** The source of a response, as it is delivered. */
export interface OpenedAnswer {
  readonly source: Source;
  /** Whether it is a stream with a body to relay. */
  readonly isStream: boolean;
}

/**
 * Opens the source of a response: the route's mock, or a backend; returns undefined if the client has left.
 *
 * If the request asks for a stream, it takes a place of the gateway's limit and of the route's before the dial, so that
 * clients waiting for a slow backend are counted too. Other requests take one if the response is a stream. The source is
 * cancelled when the exchange ends: when the client leaves or, with `onClientGone: drain`, when the backend ends.
 */
export async function openAnswer(
  exchange: Exchange,
  response: ClientResponse,
  route: RuntimeRoute,
  runtime: Pick<Runtime, "capacity" | "telemetry">,
): Promise<OpenedAnswer | undefined> {
  const { capacity } = runtime;
  const { rawHeaders, method } = exchange.request;
  const isStreamWanted = method !== "HEAD" && acceptsEventStream(rawHeaders);
  const taken = isStreamWanted ? takePlace(exchange, route, capacity) : undefined;
  let place = taken instanceof Promise ? await taken : taken;
  if (exchange.isEnded) return undefined;
  const letGo = route.config.stream.onClientGone === "drain" ? exchange.hold() : undefined;
  try {
    const answer = readable(exchange, await open(exchange, response, route), route, runtime);
    const { source, isStream } = answer;
    exchange.onEnd(() => source.cancel());
    if (letGo !== undefined) source.onClose(letGo);
    if (route.mock === undefined && isWorthRetrying(exchange, source.head.status)) throw overloaded(source);
    if (isStream) place ??= await takePlace(exchange, route, capacity);
    else place?.();
    return exchange.isEnded ? undefined : answer;
  } catch (error) {
    letGo?.();
    throw error;
  }
}

/** Returns a response without the content coding of its stream, if that has to be decoded, and read for its tokens. */
export function readable(
  exchange: Exchange,
  source: Source,
  route: RuntimeRoute,
  { telemetry }: Pick<Runtime, "telemetry">,
): OpenedAnswer {
  const isStream = isStreaming(exchange, source, route);
  const decoded = isStream ? decodedStream(exchange, source) : source;
  return { source: metered(decoded, exchange, route, telemetry.metrics.llm), isStream };
}

/** Whether a response is a stream with a body to relay. */
export function isStreaming(exchange: Exchange, { head }: Source, route: RuntimeRoute): boolean {
  const { request } = exchange;
  const hasBody = request.method !== "HEAD" && head.status !== 204 && head.status !== 304;
  return hasBody && isStream(exchange, head, route);
}

function open(exchange: Exchange, response: ClientResponse, route: RuntimeRoute): Source | Promise<Source> {
  if (route.mock !== undefined) {
    // A mock does not read the body, and an unread body would block the client.
    exchange.request.body?.stream.resume();
    return route.mock.open(exchange);
  }
  const { upstream } = route;
  exchange.beginsDialling();
  const requestFor = (backend: Backend) => createBackendRequest(exchange, route, upstream, backend);
  const onInterim = ({ status, rawHeaders }: SourceHead) => {
    if (!isFromOldProxy(exchange)) response.writeInterim(status, interimFields(rawHeaders, route));
  };
  return dialUpstream({ exchange, response, upstream, requestFor, onInterim });
}

function overloaded({ head }: Source): ProxyError {
  return new ProxyError("backend_overloaded", `status ${head.status}`, {
    fields: [backendRetryAfter(head) ?? retrySoon()],
  });
}

/**
 * Takes a place of the gateway's limit and one of the route's, or neither. The exchange releases both when it ends, also
 * if it ended while they were counted; the returned function releases them earlier. `hasOwnBackend`: whether a backend
 * connection counts with the stream. Throws the limit's refusal.
 */
export function takePlace(
  exchange: Exchange,
  { streams, upstream, hub }: RuntimeRoute,
  capacity: Capacity,
  hasOwnBackend = upstream !== undefined && hub === undefined,
): Release | Promise<Release> {
  const ofGateway = held(exchange, capacity.takeStream(exchange.client.address, hasOwnBackend));
  return streams === undefined ? ofGateway : takeBoth(exchange, ofGateway, streams);
}

async function takeBoth(
  exchange: Exchange,
  ofGateway: Release | Promise<Release>,
  streams: Places,
): Promise<Release> {
  const leaveGateway = await ofGateway;
  try {
    const leaveRoute = await held(exchange, streams.take(exchange.client.address));
    return () => {
      leaveRoute();
      leaveGateway();
    };
  } catch (error) {
    leaveGateway();
    throw error;
  }
}

/** Registers the release of a place with the exchange as soon as the place is taken. */
function held(exchange: Exchange, place: Release | Promise<Release>): Release | Promise<Release> {
  if (place instanceof Promise) return place.then((release) => held(exchange, release));
  exchange.onEnd(place);
  return () => exchange.giveBack(place);
}
