import { ProxyError } from "../base/errors.ts";
import { parseDuration } from "../base/units.ts";
import type { SharedConfig } from "../config/shared-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { takeTargetParameter } from "../exchange/take-parameter.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { percentDecoded } from "../http/percent-encoding.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/** What a client wants of a shared stream. */
export interface Subscription {
  /** Bytes as latin1; empty for what comes next. */
  readonly lastEventId: string;
  /** How it takes events that cannot stream; undefined for a stream. */
  readonly poll: { readonly waitMs: number } | undefined;
}

const LONG_POLL_MS = 25_000;

/**
 * Reads what a request says to us, and takes it out of its query: it is nothing for the backend, and with it
 * in the key every client that comes back would get a stream of its own.
 */
export function readSubscription(exchange: Exchange, route: SharedRoute): Subscription {
  const config = sharedOf(route);
  const { rawHeaders } = exchange.request;
  const id = taken(exchange, "lastEventId") ?? "";
  // A polyfill's URL keeps the id of its first connection, while the field has that of the last event.
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

/** `25s`, or plain seconds. */
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

/** Takes a parameter out of the query however it is encoded; its last value, bytes as latin1. */
function taken(exchange: Exchange, name: string): string | undefined {
  return takeTargetParameter(exchange, name, decoded).at(-1);
}

const decoded = (text: string): string => percentDecoded(text.replaceAll("+", " "));
