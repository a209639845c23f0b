import type { BackendAddress } from "../config/scalars.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { fieldName } from "../http/field-name.ts";
import { pathFault } from "../http/routing-path.ts";
import { originOf, readAbsoluteUrl, schemeOf, sentHost } from "./absolute-url.ts";
import { backendPath, strippedPrefix, withoutPrefix } from "./path-rewrite.ts";

/** The methods with a Destination field (RFC 4918 section 10.3). */
const METHODS: ReadonlySet<string> = new Set(["COPY", "MOVE"]);

/**
 * Rewrites, in place, the Destination of COPY and MOVE as the backend names it.
 *
 * A WebDAV server refuses a Destination with another scheme, host or port than its own. A Destination on another host,
 * or outside `stripPrefix`, is forwarded unchanged.
 */
export function rewriteDestination(
  fields: string[],
  exchange: Exchange,
  route: Route,
  backend: BackendAddress,
): void {
  if (!METHODS.has(exchange.request.method) || route.config.rewrite.redirects === "off") return;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fieldName(fields[at] ?? "").lower !== "destination") continue;
    fields[at + 1] = backendDestination(fields[at + 1] ?? "", exchange, route, backend);
  }
}

function backendDestination(text: string, exchange: Exchange, route: Route, backend: BackendAddress): string {
  const url = readAbsoluteUrl(text);
  if (url === undefined) {
    const [, path, rest = ""] = /^(\/[^?#]*)(.*)$/s.exec(text) ?? [];
    const wanted = path === undefined ? undefined : pathForBackend(path, exchange, route);
    return wanted === undefined ? text : wanted + rest;
  }
  const scheme = url.scheme ?? schemeOf(backend);
  // With any scheme: a proxy in front may have ended TLS without a word.
  const own = [exchange.host, exchange.client.host].map((host) => originOf(scheme, host));
  const wanted = pathForBackend(url.path, exchange, route);
  if (!own.includes(originOf(scheme, url.authority)) || wanted === undefined) return text;
  return `${schemeOf(backend)}://${sentHost(exchange, route, backend)}${wanted}${url.rest}`;
}

/** Returns the backend's path for a path that the client knows; undefined if the route does not lead there. */
function pathForBackend(path: string, { client, target }: Exchange, { config }: Route): string | undefined {
  const own = withoutPrefix(path, client.forwardedPrefix) ?? path;
  if (pathFault(own) !== undefined) return undefined;
  const { rewrite } = config;
  const isInside = strippedPrefix(own, rewrite) === strippedPrefix(target.path, rewrite);
  return isInside ? backendPath(own, rewrite) : undefined;
}
