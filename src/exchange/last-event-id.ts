import { ProxyError } from "../base/errors.ts";
import { percentDecoded } from "../http/percent-encoding.ts";
import { hasParameterInAnyCase } from "../http/query.ts";
import { isFieldValue } from "../http/render-head.ts";
import type { Exchange } from "./exchange.ts";

/** A query, separated from the last event id that a polyfill has appended to it. */
export interface ResumedQuery {
  /** The query without the id, with its question mark; empty without a query. */
  readonly query: string;
  /** The id as bytes in latin1; empty before the first event. */
  readonly lastEventId: string;
}

/**
 * Removes the parameter `lastEventId` from the end of a query. event-source-polyfill appends it on reconnect (its
 * version of 2018 always, with an empty value at first). The client cannot sign it, because it signs the URL before the
 * polyfill gets it. Returns undefined if the query does not end with the parameter, or contains it twice.
 *
 * It is safe to verify the rest of the query without the parameter:
 * - It is the last parameter, in the literal spelling of the polyfill: every other byte of the query is verified as it
 *   was signed, and a query with a second `lastEventId`, in any spelling, is left unchanged.
 * - A `lastEventId` in the signed URL is verified as sent: it cannot be removed or replaced.
 * - It is removed before the query is forwarded, so no backend can read it as a parameter.
 * - Its value is used only as the field Last-Event-ID, and a client with a signed URL may send that field itself,
 *   unsigned. If the client has sent the field, signed or not, the field's value is used instead.
 */
export function takeLastEventId(query: string): ResumedQuery | undefined {
  const at = Math.max(0, query.lastIndexOf("&"));
  if (!query.startsWith(APPENDED, at + 1)) return undefined;
  const rest = query.slice(0, at);
  if (hasParameterInAnyCase(rest, NAME)) return undefined;
  return { query: rest, lastEventId: percentDecoded(query.slice(at + 1 + APPENDED.length)) };
}

const NAME = "lastEventId";
const APPENDED = `${NAME}=`;

/** Notes the verified URL and the id: the backend gets the id as Last-Event-ID. Throws a ProxyError at an invalid id. */
export function resume(exchange: Exchange, { query, lastEventId }: ResumedQuery): void {
  if (!isFieldValue(lastEventId)) {
    throw new ProxyError("bad_request", "lastEventId holds a control character");
  }
  exchange.foundTarget({ path: exchange.target.path, query });
  if (lastEventId !== "") exchange.foundLastEventId(lastEventId);
}
