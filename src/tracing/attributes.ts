import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import {
  ATTR_CLIENT_ADDRESS,
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_REQUEST_RESEND_COUNT,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_NETWORK_TRANSPORT,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
  NETWORK_TRANSPORT_VALUE_UNIX,
} from "@opentelemetry/semantic-conventions";
import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { BackendAddress } from "../config/scalars.ts";
import type { SettledExchange } from "../exchange/exchange-trace.ts";
import { type Client, UNIX_PEER } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";

/**
 * The attributes of spans: those of OpenTelemetry's conventions for HTTP, and `sluice.*`. They hold what the log line
 * holds, and so no query, no credential and no field of a client.
 */

/** The methods of the conventions; another one is `_OTHER`, so that clients cannot make any number of span names. */
const METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "TRACE",
]);

/** The maximum length, in characters, of a text that a client chooses; `tracing.queue` of them are held. */
const MAX_TEXT = 1_024;

/** A host and a port, with or without the brackets of IPv6. */
const HOST_AND_PORT = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/;

/** Returns the name of a span without a route, by its method. */
export function methodName(method: string): string {
  return METHODS.has(method) ? method : "HTTP";
}

/** Returns the attributes of a method. */
function methodAttributes(method: string): Attributes {
  if (METHODS.has(method)) return { [ATTR_HTTP_REQUEST_METHOD]: method };
  return { [ATTR_HTTP_REQUEST_METHOD]: "_OTHER", [ATTR_HTTP_REQUEST_METHOD_ORIGINAL]: bounded(method) };
}

/** Returns the attributes of a request that has come. `peer` is the address at the other end of the connection. */
export function requestAttributes(
  { method, httpVersion }: ClientRequest,
  { address, proto, host }: Client,
  peer: string | undefined,
): Attributes {
  const [, v6, name, port] = HOST_AND_PORT.exec(host) ?? [];
  const server = v6 ?? name ?? "";
  return {
    ...methodAttributes(method),
    [ATTR_URL_SCHEME]: proto,
    [ATTR_NETWORK_PROTOCOL_VERSION]: httpVersion === "2.0" ? "2" : httpVersion,
    [ATTR_CLIENT_ADDRESS]: address,
    ...(peer !== undefined && peer !== UNIX_PEER && { [ATTR_NETWORK_PEER_ADDRESS]: peer }),
    ...(server !== "" && { [ATTR_SERVER_ADDRESS]: bounded(server) }),
    ...(port !== undefined && { [ATTR_SERVER_PORT]: Number(port) }),
  };
}

/** Notes on a request's span how it ended. The status is 499 if the client left, as in the log. */
export function noteEnd(span: Span, exchange: SettledExchange, reason: EndReason): void {
  const { account, route, request } = exchange;
  const { status, error } = account;
  const code = error instanceof ProxyError ? error.code : undefined;
  const pattern = route?.config.match.path;
  if (pattern !== undefined) span.updateName(`${methodName(request.method)} ${pattern}`);
  span.setAttributes({
    [ATTR_URL_PATH]: bounded(exchange.path),
    ...(status > 0 && { [ATTR_HTTP_RESPONSE_STATUS_CODE]: status }),
    ...(pattern !== undefined && { [ATTR_HTTP_ROUTE]: pattern }),
    "sluice.end_reason": reason,
    "sluice.request_id": exchange.id,
    "sluice.bytes_sent": account.bytesSent,
    ...present({
      "sluice.route": route?.config.name,
      "sluice.stage": route?.environment,
      "sluice.app": exchange.principal?.app,
      "sluice.events": account.events,
      "sluice.error_code": code,
    }),
  });
  // As in the log: below 500 an error is the client's.
  if (account.logLevel !== "info") fail(span, code ?? (status >= 500 ? String(status) : reason));
}

/** Returns the attributes of an attempt. `resends` is the number of attempts before it. */
export function attemptAttributes({ host, port, socketPath }: BackendAddress, resends: number): Attributes {
  return {
    ...(socketPath === undefined
      ? { [ATTR_SERVER_ADDRESS]: host, [ATTR_SERVER_PORT]: port }
      : { [ATTR_SERVER_ADDRESS]: socketPath, [ATTR_NETWORK_TRANSPORT]: NETWORK_TRANSPORT_VALUE_UNIX }),
    ...(resends > 0 && { [ATTR_HTTP_REQUEST_RESEND_COUNT]: resends }),
  };
}

/** Returns the attributes of the request that an attempt sends; without the query of its path. */
export function sentAttributes(method: string, { tls, authority }: BackendAddress, path: string): Attributes {
  const [bare = ""] = path.split("?", 1);
  return {
    ...methodAttributes(method),
    [ATTR_URL_FULL]: `${tls ? "https" : "http"}://${authority}${bounded(bare)}`,
  };
}

/** Notes the status of a response on the span of its attempt; from 400 on it is an error, as the conventions say. */
export function noteStatus(span: Span, status: number): void {
  span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  if (status >= 400) fail(span, String(status));
}

/** Marks a span as failed; `type` is an error code or a status. */
export function fail(span: Span, type: string): void {
  span.setAttribute(ATTR_ERROR_TYPE, type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function present(attributes: Readonly<Record<string, string | number | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** Returns the beginning of a text that was cut out of a request head, without holding that head. */
function bounded(text: string): string {
  return ownText(text.slice(0, MAX_TEXT));
}
