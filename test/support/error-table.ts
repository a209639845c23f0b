import { type ErrorCode, PUBLIC_ERRORS } from "../../src/base/errors.ts";

/** The cause and the remedy of each error. The type requires an entry for each code. */
const CAUSES: Readonly<Record<ErrorCode, readonly [cause: string, remedy: string]>> = {
  bad_request: [
    "the request breaks HTTP, or could be read in two ways",
    "read `err.message`; see [routes](routes.md#requests-that-are-refused)",
  ],
  auth_failed: [
    "the credential is missing, wrong or expired, or there are two",
    "see [troubleshooting](troubleshooting.md#401-and-403)",
  ],
  app_not_authorized: ["the app is known, but not in `auth.app` of the route", "add it to the route"],
  access_denied: ["`access` denies the client's address", "check `access` and `trustedProxies`"],
  rate_limited: [
    "a limit of `limits.rate` or `limits.tokens`, `limits.failedAuth`, `limits.signatures` or `auth.ticket.limit` is used up",
    "wait as `Retry-After` says, or raise the limit",
  ],
  too_many_parameters: ["a signed query has more than `limits.signedParameters`", "raise the limit"],
  body_too_large: ["a body that must be read whole is longer than `limits.bodyBytes`", "raise the limit"],
  too_many_streams: [
    "`limits.streams` of the route or of the process is reached",
    "raise the limit, or the open-file limit",
  ],
  too_many_streams_of_client: ["`limits.streamsPerClient` is reached", "close streams, or raise the limit"],
  too_many_connections: ["`limits.connections` is reached", "raise the limit, or the open-file limit"],
  connections_exhausted: ["the process or the system has no file or port left", "raise the open-file limit"],
  too_many_bodies: [
    "all bodies that are read whole exceed `limits.bodiesBytes`",
    "retry, or raise the limit",
  ],
  out_of_memory: ["the heap is nearly full", "see [operating](operating.md#out-of-files-or-memory)"],
  no_backend: ["every backend is unhealthy", "check the backends and `upstream.healthCheck`"],
  no_route: [
    "no route matches, or the route has no such stage",
    "`sluice check` prints the routes in matching order",
  ],
  method_not_allowed: ["the route takes other methods; `Allow` lists them", "use one of them"],
  method_not_implemented: [
    "an unknown method behind a request that is under way or in parts; or one in lower case that, in upper case, belongs to another route",
    "wait for the response before it; write the method in upper case",
  ],
  request_timeout: [
    "the head did not arrive within `limits.requestTimeout`, or no byte of the body for `limits.bodyTimeout`",
    "raise the limit",
  ],
  target_too_long: ["the request line is longer than `limits.headerBytes`", "raise the limit"],
  header_overflow: ["the headers exceed `limits.headerBytes` or `limits.headers`", "raise the limit"],
  expectation_failed: ["`Expect` is not `100-continue`", "send no other expectation"],
  origin_denied: ["the origin of a WebSocket is not allowed", "add it to `cors.allowOrigins`"],
  upgrade_required: ["the WebSocket version is not 13", "use another client"],
  version_not_supported: ["the HTTP version is not supported", "use HTTP/1.1 or HTTP/2"],
  backend_connect_failed: ["no connection to the backend", "is it running at the address in `upstream`?"],
  backend_connect_timeout: ["no connection within `upstream.connectTimeout`", "check the network"],
  backend_reset: ["the backend closed the connection before or within its answer", "look at its log"],
  backend_protocol_error: ["the answer of the backend is not valid HTTP", "look at `err.message`"],
  backend_overloaded: [
    "with `stream.onRefusal: retry`: the backend itself refused, with 429, 502, 503 or 504",
    "the client comes back by itself",
  ],
  backend_refused: [
    "shared stream: the backend answered with another status, which the client gets too",
    "look at the backend's log",
  ],
  backend_not_a_stream: [
    "shared stream: the answer is not `text/event-stream` in UTF-8",
    "remove `shared`, or change the backend",
  ],
  unsupported_encoding: [
    "shared stream: sluice cannot decode its Content-Encoding",
    "switch off compression in the backend",
  ],
  event_too_large: ["shared stream: an event is longer than `shared.maxEvent`", "raise the limit"],
  too_many_channels: ["`shared.channels` is reached", "raise the limit"],
  answer_mismatch: [
    "`resume`: the key was used for another request body, and its answer is still kept",
    "a new key for each new request",
  ],
  answer_gone: [
    "`resume`: the event that the client has is unknown, or what follows it is no longer kept",
    "ask anew with a new key; raise `resume.bytes`",
  ],
  answer_cancelled: [
    "`resume`: a DELETE has cancelled the answer, or no client read it for `resume.grace`",
    "nothing",
  ],
  answer_unavailable: [
    "`resume`: the answer was lost before it began, or Redis is away",
    "the client's next request starts it anew",
  ],
  backend_timeout: [
    "no response head within `upstream.responseHeaderTimeout`, or no event for `stream.idleTimeout`",
    "raise the limit",
  ],
  loop_detected: ["the request came back to sluice", "check the address in `upstream`"],
  replay_unknown: [
    "Redis, or the primary process, is away: a used signature or ticket cannot be recognised",
    "retry; see [Redis](redis.md#when-redis-is-away)",
  ],
  closing: ["sluice drains, or the route was removed", "retry: another instance answers"],
  body_already_read: [
    "[embedded](embedding.md#body-parsers): a body parser, such as `express.json()`, has read the body before sluice",
    "put the gateway before the parser",
  ],
  internal_error: ["a fault in sluice", "report it, with the stack of the log line"],
};

/** The errors of sluice as a Markdown table, by status. */
export function errorTable(): string {
  const rows = Object.entries(PUBLIC_ERRORS)
    .toSorted(([, a], [, b]) => a.status - b.status)
    .map(([code, { status, publicCode, text }]) => {
      const [cause, remedy] = CAUSES[code as ErrorCode];
      return `| \`${code}\` | ${status} | \`${publicCode}\` | ${text} | ${cause} | ${remedy} |`;
    });
  return [
    "| `err.code` in the log | status | `error_code` | `error_msg` | cause | remedy |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
