import { ProxyError } from "../base/errors.ts";
import { parseDuration } from "../base/units.ts";
import type { SharedConfig } from "../config/shared-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { takeTargetParameter } from "../exchange/take-parameter.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { percentDecoded } from "../http/percent-encoding.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/** A client's request for a shared stream. */
export interface Subscription {
  /** Bytes as latin1; empty for new events only. */
  readonly lastEventId: string;
  /** The poll of a client that does not stream, with its longest wait in ms; undefined for a stream. */
  readonly poll: { readonly waitMs: number } | undefined;
}

const LONG_POLL_MS = 25_000;

/**
 * Reads the subscription of a request, and removes its parameters from the query: they are not for the backend, and in
 * the channel's key they would give each reconnecting client a stream of its own.
 */
export function readSubscription(exchange: Exchange, route: SharedRoute): Subscription {
  const config = sharedOf(route);
  const { rawHeaders } = exchange.request;
  const id = taken(exchange, "lastEventId") ?? "";
  // The field comes first: a polyfill's URL keeps the id of its first connection.
  const lastEventId = fieldValue(rawHeaders, "last-event-id") || exchange.lastEventId || id;
  return { lastEventId, poll: config.polling ? readPoll(exchange, config) : undefined };
}

function readPoll(exchange: Exchange, config: SharedConfig): Subscription["poll"] {
  const transport = taken(exchange, "transport");
  const timeout = taken(exchange, "timeout");
  switch (transport) {
    case "polling":
      return { waitMs: 0 };
    case "long-polling":
      return { waitMs: waitOf(timeout, config) };
    case "sse":
      return undefined;
    case undefined:
      if (!prefersJson(exchange)) return undefined;
      return { waitMs: timeout === undefined ? 0 : waitOf(timeout, config) };
    default:
      throw new ProxyError("bad_request", "expected transport=polling, long-polling or sse");
  }
}

/** Reads a wait such as `25s`, or a number of seconds; returns ms. */
function waitOf(text: string | undefined, { pollTimeout }: SharedConfig): number {
  if (text === undefined) return Math.min(LONG_POLL_MS, pollTimeout);
  const ms = parseDuration(/^\d{1,6}$/.test(text) ? `${text}s` : text);
  if (ms === undefined) throw new ProxyError("bad_request", "expected a timeout such as 25s");
  return Math.min(ms, pollTimeout);
}

function prefersJson({ request: { rawHeaders } }: Exchange): boolean {
  if (acceptsEventStream(rawHeaders)) return false;
  return fieldValues(rawHeaders, "accept").some((value) => /\bapplication\/json\b/i.test(value));
}

/** Removes a parameter from the query, however it is encoded; returns its last value, bytes as latin1. */
function taken(exchange: Exchange, name: string): string | undefined {
  return takeTargetParameter(exchange, name, decoded).at(-1);
}

const decoded = (text: string): string => percentDecoded(text.replaceAll("+", " "));
