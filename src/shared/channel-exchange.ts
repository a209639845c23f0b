import { DEFAULT_KEY } from "../config/shared-schema.ts";
import { Exchange } from "../exchange/exchange.ts";
import { fieldValues } from "../http/fields.ts";
import type { Log } from "../observe/log.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/** What a channel asks its backend for, whoever was the first to want it. */
export type ChannelTemplate = Pick<Exchange, "host" | "target" | "principal" | "consumed" | "client"> & {
  readonly route: SharedRoute;
  /** The fields of the request that are in the key, and our own word on how often it has passed. */
  readonly fields: readonly string[];
};

/**
 * Keeps of the first client's request what is in the key, and so the same for all who share it. Everything else
 * of that client, its credentials above all, stays out: what the backend would show it for them, everybody
 * would see.
 */
export function channelTemplate(first: Exchange, route: SharedRoute): ChannelTemplate {
  const by = sharedOf(route).by ?? DEFAULT_KEY;
  const target = { path: first.target.path, query: by.includes("query") ? first.target.query : "" };
  const { proto, host } = first.client;
  const client = {
    // Nobody's: balancing by address goes by the stream then.
    address: target.path + target.query,
    proto,
    host,
    forwardedFor: "",
    requestId: undefined,
    isTrusted: false,
  };
  // Or a loop in which each pass asks for another stream would begin anew with each.
  const loop = route.upstream?.loops.ownEntry(first.request.rawHeaders) ?? [];
  const fields = [...by.flatMap((part) => namedFields(part, first)), ...loop];
  const principal = by.includes("principal") ? first.principal : undefined;
  return { route, target, client, fields, principal, host: first.host, consumed: first.consumed };
}

/** A request of the channel's own, to go on behind an id (bytes as latin1; empty for none). */
export function channelExchange(template: ChannelTemplate, lastEventId: string, log: Log): Exchange {
  const { route, target, client, fields, principal, host, consumed } = template;
  const rawHeaders = [
    ...(host === "" ? [] : ["Host", host]),
    "Accept",
    "text/event-stream",
    "Cache-Control",
    "no-cache",
    ...fields,
    ...(lastEventId === "" ? [] : ["Last-Event-ID", lastEventId]),
  ];
  const url = target.path + target.query;
  const request = { method: "GET", url, httpVersion: "1.1", rawHeaders, body: undefined };
  const exchange = new Exchange(request, client, {
    log,
    onSettled() {},
    onFault: (err, facts) => log.error({ ...facts, code: "internal_error", err }, "internal error"),
  });
  exchange.foundHost(host);
  exchange.foundTarget(target);
  exchange.routedTo(route);
  if (principal !== undefined) exchange.verified(principal);
  exchange.consume(consumed);
  return exchange;
}

function namedFields(part: string, { request }: Exchange): string[] {
  if (!part.startsWith("header:")) return [];
  const name = part.slice("header:".length);
  return fieldValues(request.rawHeaders, name).flatMap((value) => [name, value]);
}
