import { createHash } from "node:crypto";
import { DEFAULT_KEY } from "../config/shared-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValues } from "../http/fields.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";

/**
 * What two requests must have in common to get the same stream. Route, stage, host and scheme always count,
 * because the backend is told them; of the client's own only what `by` names, byte for byte.
 *
 * Lengths stand before values, so that no value can look like two.
 */
export function channelKey(exchange: Exchange, route: SharedRoute): string {
  const { client, host, target, principal, request } = exchange;
  const parts = [route.config.name, route.environment, client.proto, host, client.host];
  for (const part of sharedOf(route).by ?? DEFAULT_KEY) {
    if (part === "path") parts.push(target.path);
    else if (part === "query") parts.push(target.query);
    // No principal is told from one with an empty name.
    else if (part === "principal") parts.push(principal === undefined ? "" : `=${principal.key}`);
    else parts.push(JSON.stringify(fieldValues(request.rawHeaders, part.slice("header:".length))));
  }
  return parts.map((part) => `${part.length}:${part}`).join("");
}

/** A name for a key that shows nothing of it, because it may hold credentials; for stores and logs. */
export function keyName(key: string): string {
  return createHash("sha256").update(key, "latin1").digest("hex").slice(0, 32);
}
