import { DEFAULT_KEY } from "../config/shared-schema.ts";
import { detachedExchange } from "../exchange/detached-exchange.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { AttemptTrace } from "../exchange/exchange-trace.ts";
import { fieldValues } from "../http/fields.ts";
import type { HubContext } from "./hub-context.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/** The request of a channel to its backend, the same for every client that could have opened the channel. */
export type ChannelTemplate = Pick<Exchange, "host" | "target" | "principal" | "consumed" | "client"> & {
  readonly route: SharedRoute;
  /** The request's fields that are in the channel's key, and the field of the loop guard. */
  readonly fields: readonly string[];
};

/**
 * Returns the parts of the first client's request that are in the channel's key, and so the same for all its clients.
 * Everything else is left out, above all credentials: all clients would see the backend's response to one client's
 * credentials.
 */
export function channelTemplate(first: Exchange, route: SharedRoute): ChannelTemplate {
  const by = sharedOf(route).by ?? DEFAULT_KEY;
  const target = { path: first.target.path, query: by.includes("query") ? first.target.query : "" };
  const { proto, host } = first.client;
  const client = {
    // No client's address: `balance: hash` uses the stream's target instead.
    address: target.path + target.query,
    proto,
    host,
    hostSource: "field" as const,
    forwardedPort: undefined,
    forwardedPrefix: "",
    forwardedFor: "",
    requestId: undefined,
    isTrusted: false,
  };
  // Without the loop guard's field, a loop whose passes ask for different streams would never be found.
  const loop = route.upstream?.loops.ownEntry(first.request.rawHeaders) ?? [];
  const fields = [...by.flatMap((part) => namedFields(part, first)), ...loop];
  const principal = by.includes("principal") ? first.principal : undefined;
  return { route, target, client, fields, principal, host: first.host, consumed: first.consumed };
}

/** Returns a request of the channel itself that resumes after an id (bytes as latin1; empty for none). */
export function channelExchange(
  template: ChannelTemplate,
  lastEventId: string,
  { log, onFault }: Pick<HubContext, "log" | "onFault">,
  trace: AttemptTrace | undefined,
): Exchange {
  const { route, target, client, fields, host } = template;
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
  return detachedExchange(request, client, { route, log, onFault, origin: template, trace });
}

function namedFields(part: string, { request }: Exchange): string[] {
  if (!part.startsWith("header:")) return [];
  const name = part.slice("header:".length);
  return fieldValues(request.rawHeaders, name).flatMap((value) => [name, value]);
}
