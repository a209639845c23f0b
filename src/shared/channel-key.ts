import { createHash } from "node:crypto";
import type { RouteConfig } from "../config/route-schema.ts";
import { DEFAULT_KEY } from "../config/shared-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValues } from "../http/fields.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/**
 * Returns the key of a request's stream: requests with equal keys share a channel. Route, environment, host and scheme
 * are always part of it, because the backend gets them; of the other parts only those that `by` names, byte for byte.
 *
 * Each part is preceded by its length, so that no part can look like two.
 */
export function channelKey(exchange: Exchange, route: SharedRoute): string {
  const { client, host, target, principal, request } = exchange;
  const parts = [route.config.name, route.environment, client.proto, host, client.host];
  for (const part of sharedOf(route).by ?? DEFAULT_KEY) {
    if (part === "path") parts.push(target.path);
    else if (part === "query") parts.push(target.query);
    // The equals sign tells a principal with an empty name from no principal.
    else if (part === "principal") parts.push(principal === undefined ? "" : `=${principal.key}`);
    else parts.push(JSON.stringify(fieldValues(request.rawHeaders, part.slice("header:".length))));
  }
  return parts.map((part) => `${part.length}:${part}`).join("");
}

/** Returns a name of a key for stores and logs: a hash, because the key may contain credentials. */
export function keyName(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 32);
}

/**
 * Returns the part of a route's configuration that determines the bytes of its streams: which backends are asked, and how.
 *
 * Instances that share a Redis and differ in it keep records of their own. Settings of the delivery to clients
 * (heartbeats, limits, CORS, credentials) and the rewriting of response fields are not part of it, so that changing them does not begin a new record.
 */
export function streamDefinition({ upstream, mock, rewrite, headers, shared }: RouteConfig): string {
  const backends = upstream?.backends.map(({ url: { url } }) => url).toSorted();
  const { set, remove } = headers.request;
  const { stripPrefix, addPrefix } = rewrite;
  const asked = {
    backends,
    hostHeader: upstream?.hostHeader,
    rewrite: { stripPrefix, addPrefix },
    headers: { set, remove },
  };
  return JSON.stringify({ ...asked, mock, by: shared?.by, ids: shared?.ids });
}
