import { type ProxyError, refusalOf } from "../base/errors.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { acceptsType } from "../http/media-type.ts";
import { retrySoon } from "../http/retry-after.ts";
import { isDebugging } from "./debug.ts";
import type { Exchange } from "./exchange.ts";
import { isReconnecting } from "./live-stream.ts";

/**
 * Statuses of temporary conditions: a limit, or a backend that is down. After a 401, 403 or 404, repeating the request
 * does not help.
 */
const TEMPORARY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** A response that sluice composes itself. */
export interface Reply {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Whether the connection ends with this response, because bytes after the request cannot be trusted. */
  readonly closes?: boolean;
}

const PROBLEM = "application/problem+json";

/**
 * Returns the reply for a ProxyError: the public text of its code, never its detail. A client that accepts
 * `application/problem+json` gets a problem (RFC 9457).
 */
export function errorReply(exchange: Exchange, error: ProxyError): Reply {
  const isProblem = acceptsType(exchange.request.rawHeaders, PROBLEM);
  const body = error.body(exchange.id, { isDebugging: isDebugging(exchange), isProblem });
  if (isWorthRetrying(exchange, error.status)) return retryReply(exchange, error, body);
  const challenge = error.status === 401 ? (exchange.route?.auth?.challenge ?? "") : "";
  return {
    status: error.status,
    fields: [
      ["Content-Type", isProblem ? PROBLEM : "application/json"],
      ...(isProblem ? ([["Vary", "Accept"]] as const) : []),
      ...(challenge === "" ? [] : ([["WWW-Authenticate", challenge]] as const)),
      ...error.fields,
      ...exchange.ownFields,
    ],
    body,
    closes: error.closes,
  };
}

/** Sends a reply whole. */
export function send(exchange: Exchange, response: ClientResponse, reply: Reply): void {
  const isHead = exchange.request.method === "HEAD";
  // A client that was not told to continue may or may not send its body, so no request can follow it.
  writeReply(response, reply, { isHead, closes: exchange.awaitsContinue });
  exchange.account.headSent(reply.status);
  if (!isHead && reply.status !== 204) exchange.account.addBytes(Buffer.byteLength(reply.body));
}

/** Writes a reply whole, as the response to a HEAD request or another one; `closes` ends the connection with it. */
export function writeReply(
  response: ClientResponse,
  { status, fields, body, closes }: Reply,
  { isHead, closes: closesAnyway } = { isHead: false, closes: false },
): void {
  const hasBody = status !== 204;
  const length = hasBody ? ["Content-Length", String(Buffer.byteLength(body))] : [];
  const close = closes || closesAnyway ? ["Connection", "close"] : [];
  response.writeHead(status, undefined, [...fields.flat(), ...length, ...close]);
  response.end(hasBody && !isHead ? Buffer.from(body) : undefined);
}

/**
 * Answers an exchange that an error has ended; every error ends up here.
 *
 * Before the response head, sends the error's status and JSON body. After it, aborts the connection: an incomplete body
 * must never look complete.
 */
export function fail(exchange: Exchange, response: ClientResponse, error: unknown): void {
  const refusal = refusalOf(error);
  if (response.isClosed) {
    // The exchange's log line may not have been written yet.
    if (refusal.code === "internal_error") exchange.account.replaceError(refusal);
    return;
  }
  exchange.account.replaceError(refusal);
  if (refusal.status >= 500) exchange.account.endsWith("backend_failed");
  if (response.isHeadSent) {
    response.breakOff();
    return;
  }
  try {
    send(exchange, response, errorReply(exchange, refusal));
  } catch (another) {
    // A fault in writing each head, such as that of a middleware: without a response, the client would wait for ever.
    response.breakOff();
    throw another;
  }
}

/**
 * Whether a refusal is sent as a stream that ends at once.
 *
 * An EventSource never reconnects after a status other than 200 (WHATWG HTML, section 9.2.2), so a backend's restart
 * would cost a page its stream until it is reloaded.
 */
export function isWorthRetrying(exchange: Exchange, status: number): boolean {
  const { onRefusal } = exchange.route?.config.stream ?? {};
  return onRefusal === "retry" && TEMPORARY.has(status) && isReconnecting(exchange);
}

/** Returns a refusal after which an EventSource reconnects: an empty stream with `retry`, and the error as a comment. */
function retryReply(exchange: Exchange, error: ProxyError, body: string): Reply {
  const hasComments = exchange.route?.config.stream.comments !== "off";
  return {
    status: 200,
    fields: [
      ["Content-Type", "text/event-stream"],
      ["Cache-Control", "no-cache, no-transform"],
      ["X-Accel-Buffering", "no"],
      ...error.fields.filter(([name]) => name !== "Retry-After"),
      ...exchange.ownFields,
    ],
    body: `${hasComments ? `:${body}\n` : ""}retry: ${retryMs(error)}\n\n`,
    closes: error.closes,
  };
}

/** Returns the wait of Retry-After, in ms, and up to a second more: otherwise all clients would return in the same second. */
function retryMs(error: ProxyError): number {
  const [, seconds] = error.fields.find(([name]) => name === "Retry-After") ?? retrySoon();
  return Math.round((Number(seconds) + Math.random()) * 1000);
}
