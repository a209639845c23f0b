import type { ProxyError } from "../base/errors.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";

/** What passes by itself: too many, or a backend that is not there. 401, 403 and 404 would only be asked again. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);

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
export function retryReply(exchange: Exchange, error: ProxyError, body: string): Reply {
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
