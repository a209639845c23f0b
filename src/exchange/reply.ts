import { type ProxyError, refusalOf } from "../base/errors.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { retrySoon } from "../http/retry-after.ts";
import { isDebugging } from "./debug.ts";
import type { Exchange } from "./exchange.ts";

/** What passes by itself: too many, or a backend that is not there. 401, 403 and 404 would only be asked again. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** A response that sluice composes itself. */
export interface Reply {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The connection ends with this response, because what follows on it is not to be trusted. */
  readonly closes?: boolean;
}

/** What a ProxyError tells the client: the public text of its code, never its detail. */
export function errorReply(exchange: Exchange, error: ProxyError): Reply {
  const body = error.body(exchange.id, isDebugging(exchange));
  if (isWorthRetrying(exchange, error.status)) return retryReply(exchange, error, body);
  const challenge = error.status === 401 ? (exchange.route?.auth?.challenge ?? "") : "";
  return {
    status: error.status,
    fields: [
      ["Content-Type", "application/json"],
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
 * The only way out on error.
 *
 * Before the head: the error's status and JSON body. After it: the connection is destroyed, because a body
 * that did not come whole must never look as if it had. A client that has left gets nothing.
 */
export function fail(exchange: Exchange, response: ClientResponse, error: unknown): void {
  const refusal = refusalOf(error);
  if (response.isClosed) {
    // The log line may still be to come.
    if (refusal.code === "internal_error") exchange.account.replaceError(refusal);
    return;
  }
  exchange.account.replaceError(refusal);
  if (refusal.status >= 500) exchange.account.endsWith("backend_failed");
  if (response.isHeadSent) response.breakOff();
  else send(exchange, response, errorReply(exchange, refusal));
}

/**
 * Whether a refusal is to be dressed as a stream that ends early.
 *
 * An EventSource gives up for good on any status but 200 (WHATWG HTML, section 9.2.2), so a backend's restart
 * would cost a page its stream until somebody reloads it. Only GETs are repeated by an EventSource.
 */
export function isWorthRetrying({ route, request }: Exchange, status: number): boolean {
  return (
    route?.config.stream.onRefusal === "retry" &&
    request.method === "GET" &&
    PASSING.has(status) &&
    acceptsEventStream(request.rawHeaders)
  );
}

/** A refusal as an EventSource survives it: an empty stream that says when to come back, and why in a comment. */
function retryReply(exchange: Exchange, error: ProxyError, body: string): Reply {
  return {
    status: 200,
    fields: [
      ["Content-Type", "text/event-stream"],
      ["Cache-Control", "no-cache, no-transform"],
      ["X-Accel-Buffering", "no"],
      ...error.fields.filter(([name]) => name !== "Retry-After"),
      ...exchange.ownFields,
    ],
    body: `:${body}\nretry: ${retryMs(error)}\n\n`,
    closes: error.closes,
  };
}

/** As the Retry-After says, and up to a second later: its seconds would bring all back in the same one. */
function retryMs(error: ProxyError): number {
  const [, seconds] = error.fields.find(([name]) => name === "Retry-After") ?? retrySoon();
  return Math.round((Number(seconds) + Math.random()) * 1000);
}
