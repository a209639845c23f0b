import { llmOf } from "../config/llm-schema.ts";
import { detachedExchange } from "../exchange/detached-exchange.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { withoutField } from "../http/fields.ts";
import type { SourceHead } from "../http/source.ts";
import type { BackendFiles } from "../limits/backend-files.ts";
import { metered } from "../llm/metered-source.ts";
import type { LlmMetrics } from "../observe/llm-metrics.ts";
import type { Log } from "../observe/log.ts";
import { decodedStream } from "../stream/decoded-source.ts";
import { isFromOldProxy } from "../stream/interim.ts";
import { interimFields, isStream } from "../stream/response-head.ts";
import { dialUpstream } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import { createBackendRequest } from "../upstream/backend-request.ts";
import { needsOwnConnection } from "../upstream/pinned-connections.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { DialRequest } from "./answer-backend.ts";

/** A route whose answers can be kept. */
export type AnsweringRoute = Route & { readonly upstream: Upstream };

export interface AnswerDial {
  readonly route: AnsweringRoute;
  readonly log: Log;
  readonly files: BackendFiles;
  /** The metrics of answers of language models. */
  readonly llm: LlmMetrics;
  onFault(error: unknown, facts?: Readonly<Record<string, unknown>>): void;
  /** The client that asks first, with its response for interim responses. */
  readonly exchange: Exchange;
  readonly response: ClientResponse;
}

/**
 * Returns the function that sends the first client's request to a backend. The request does not end with that client's
 * exchange: only `cancellation` ends it. The backend connection counts as an open file until it has closed.
 */
export function dialAnswer(details: AnswerDial): DialRequest {
  const { route, files, exchange: first, response } = details;
  const { upstream } = route;
  const exchange = answerExchange(details);
  const isUnderstood = !isFromOldProxy(first);
  return async (cancellation, owner) => {
    exchange.answerFaultsBy((error) => owner.fault(error));
    first.beginsDialling();
    const requestFor = (backend: Backend) => {
      if (!response.isClosed) first.dialling(backend.address);
      return { ...createBackendRequest(exchange, route, upstream, backend), onClientGone: "cancel" as const };
    };
    const onInterim = ({ status, rawHeaders }: SourceHead) => {
      if (isUnderstood && !response.isHeadSent)
        response.writeInterim(status, interimFields(rawHeaders, route));
    };
    const releaseFile = files.hold();
    // The tokens of the whole answer count for the first client, even if it leaves before the response head.
    const letGo = llmOf(route.config) === undefined ? undefined : first.hold();
    const release = () => {
      releaseFile();
      letGo?.();
    };
    try {
      const dialled = await dialUpstream({
        exchange,
        response: cancellation,
        upstream,
        requestFor,
        onInterim,
      });
      // For example the cookie of a sticky upstream, which belongs to the client that asked.
      if (!response.isClosed) first.addFields(exchange.addedFields);
      const isDecoded = isStream(exchange, dialled.head, route);
      const decoded = isDecoded ? decodedStream(exchange, dialled) : dialled;
      const source = metered(decoded, first, route, details.llm);
      source.onClose(release);
      exchange.forgetHead();
      return source;
    } catch (error) {
      release();
      throw error;
    }
  };
}

/**
 * Returns the answer's own exchange: the same request as the first client's, which lasts longer than that client. It
 * asks for a body without a content coding, because a client that comes later may not accept it.
 */
function answerExchange({ exchange: first, route, log, onFault }: AnswerDial): Exchange {
  const { request, client, lastEventId, body } = first;
  const rawHeaders = [...withoutField(request.rawHeaders, "accept-encoding"), "Accept-Encoding", "identity"];
  const own = { ...client, requestId: first.id };
  const connection = needsOwnConnection(first) ? first.connection : undefined;
  const detachment = { route, log, onFault, origin: first, connection, trace: first.trace?.forAnswer() };
  const exchange = detachedExchange({ ...request, rawHeaders }, own, detachment);
  if (lastEventId !== undefined) exchange.foundLastEventId(lastEventId);
  if (body !== undefined) exchange.readWhole(body);
  return exchange;
}
