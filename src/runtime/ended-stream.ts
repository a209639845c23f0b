import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** The maximum number of characters of a path that is kept or shown. */
const MAX_PATH = 200;

/** A stream that has ended. */
export interface EndedStream {
  readonly id: string;
  readonly route: string;
  readonly path: string;
  readonly client: string;
  readonly backend: string | undefined;
  readonly reason: EndReason;
  readonly events: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/** Returns the facts about a stream that has ended now. */
export function endedStream(exchange: Exchange, reason: EndReason, durationMs: number): EndedStream {
  return {
    id: exchange.id,
    route: exchange.route?.config.name ?? "",
    path: shownPath(exchange),
    client: exchange.client.address,
    backend: exchange.backend,
    reason,
    events: exchange.account.events ?? 0,
    bytes: exchange.account.bytesSent,
    durationMs: Math.round(durationMs),
    endedAt: Date.now(),
  };
}

/** Returns the path of a request, without the query, which may hold a token; at most 200 characters. */
export function shownPath({ target: { path } }: Pick<Exchange, "target">): string {
  return path.length <= MAX_PATH ? path : ownText(path.slice(0, MAX_PATH));
}
