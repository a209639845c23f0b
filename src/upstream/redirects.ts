import type { BackendAddress } from "../config/scalars.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { Client } from "../http/address.ts";
import { hostName } from "../http/request-head.ts";
import { originOf, readAbsoluteUrl, schemeOf, sentHost } from "./absolute-url.ts";
import { strippedPrefix, withoutPrefix } from "./path-rewrite.ts";

/** The part before the URL, the URL, and the part behind it. */
const REFRESH = /^([\d.\s]*[;,]\s*url\s*=\s*["']?)([^"']*)(.*)$/is;

/** A path that no browser reads as another host: `//x` and `/\x` name one, also with a tab in between. */
const PLAIN_PATH = /^\/(?![/\\])[\x21-\x7e\x80-\xff]*$/;

/** A backend's response, and the request that it answers. */
export interface Answered {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly backend: BackendAddress;
  readonly status: number;
}

/**
 * Returns a Location as the client must see it: a URL that names the backend becomes a URL of the gateway, with the
 * prefix that the route removes. Any other value stays byte for byte, also a path: an application behind
 * `stripPrefix` may have put the X-Forwarded-Prefix in front of it.
 */
export function clientLocation(location: string, answered: Answered): string {
  const url = readAbsoluteUrl(location);
  if (url === undefined) return location;
  const { exchange, route, backend } = answered;
  const { scheme = schemeOf(backend), authority, path, rest } = url;
  const named = partyOf(originOf(scheme, authority), answered);
  if (named === undefined || (named === "host" && !isLackingTls(answered))) return location;
  const wanted = named === "host" ? path : clientPath(path, exchange, route);
  if (wanted === undefined || isSchemeChange(named, wanted + rest, answered)) return location;
  const base = named === "host" ? `https://${exchange.host}` : clientBase(exchange.client);
  const isUrl = base.includes("://") || PLAIN_PATH.test(base + wanted);
  return isUrl ? base + wanted + rest : location;
}

/** Returns a Refresh value with its URL as the client must see it. */
export function clientRefresh(refresh: string, answered: Answered): string {
  const [, before, url = "", behind = ""] = REFRESH.exec(refresh) ?? [];
  // A page that loads itself again repeats its URL, but is no redirect.
  return before === undefined ? refresh : before + clientLocation(url, { ...answered, status: 200 }) + behind;
}

/**
 * Returns the party that an origin names: the backend, or the host that the client asked for and the backend got.
 *
 * A backend is named by its address, by a Host field that only it got, or by the host of the client with the backend's
 * own port, as nginx writes redirects (`port_in_redirect`).
 */
function partyOf(origin: string, { exchange, route, backend }: Answered): "backend" | "host" | undefined {
  const scheme = schemeOf(backend);
  const host = sentHost(exchange, route, backend);
  const isOfClient = host === exchange.host;
  if (origin === originOf(scheme, host)) return isOfClient ? "host" : "backend";
  if (backend.socketPath !== undefined) return undefined;
  if (origin === originOf(scheme, backend.authority)) return "backend";
  // An application that wants TLS sends http://host:8000 to https://host, which is no backend.
  const wantsTls = isOfClient && scheme === "https" && exchange.client.proto === "http";
  const atOwnPort = originOf(scheme, `${hostName(host)}:${backend.port}`);
  return origin === atOwnPort && !wantsTls ? "backend" : undefined;
}

/**
 * Whether a URL with the client's host lacks only the TLS that the client used: a backend without TLS that ignores
 * X-Forwarded-Proto writes http. False if it is unclear by which host the client knows the gateway.
 */
function isLackingTls({ exchange: { host, client }, backend }: Answered): boolean {
  const isKnown =
    client.hostSource !== "unclear" && originOf("https", client.host) === originOf("https", host);
  return isKnown && client.proto === "https" && !backend.tls;
}

/**
 * Whether a redirect repeats the request with its URL in another scheme. An application demands that scheme, and with
 * the client's scheme the redirect would never end. A backend's own address without TLS demands nothing.
 */
function isSchemeChange(named: "backend" | "host", target: string, answered: Answered): boolean {
  const { exchange, backend, status } = answered;
  const { method } = exchange.request;
  if (named === "backend" && (!backend.tls || exchange.client.proto === "https")) return false;
  const isRedirect = status >= 300 && status < 400;
  const isRepeated = method === "GET" || method === "HEAD" || status === 307 || status === 308;
  const { path, query } = exchange.target;
  return isRedirect && isRepeated && target.replace(/#.*$/s, "") === path + query;
}

/** Returns the path by which the client reaches a path of the backend; undefined if the route does not lead there. */
function clientPath(path: string, { target }: Exchange, { config: { rewrite } }: Route): string | undefined {
  const rest = withoutPrefix(path, rewrite.addPrefix);
  return rest === undefined ? undefined : strippedPrefix(target.path, rewrite) + rest;
}

/**
 * Returns what precedes a path in a URL for the client: scheme and host by which it reached the gateway, with the
 * prefix that proxies in front have removed.
 *
 * Behind a proxy that did not report the host, the Host field names the gateway, and the proxy maps it, as nginx does
 * by default; if that is unclear, there is only the prefix, and the client adds its own scheme and host.
 */
function clientBase({ proto, host, hostSource, forwardedPrefix }: Client): string {
  if (hostSource === "unclear" || host === "") return forwardedPrefix;
  return `${proto}://${host}${hostSource === "proxy" ? forwardedPrefix : ""}`;
}
