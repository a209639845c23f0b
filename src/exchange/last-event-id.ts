import { ProxyError } from "../base/errors.ts";
import { percentDecoded } from "../http/percent-encoding.ts";
import { hasParameterInAnyCase } from "../http/query.ts";
import type { Exchange } from "./exchange.ts";

/** A query that a polyfill appended its last event id to, taken apart. */
export interface ResumedQuery {
  /** The query as it was before, with its question mark; empty without one. */
  readonly query: string;
  /** The id as bytes in latin1; empty when there is none yet. */
  readonly lastEventId: string;
}

/**
 * Takes the `lastEventId` off the end of a query, where event-source-polyfill puts it on reconnect (and its
 * version of 2018 always, with nothing behind the `=`). Such a client cannot sign it: it signed the URL that it
 * gave to the polyfill. Undefined when there is none, or more than one.
 *
 * To verify the rest without it is safe, because
 * - it is one parameter, the last one, in the literal spelling of the polyfill: every other byte of the query
 *   is verified as it was signed, and a query with a second one, in whatever spelling, is not taken;
 * - what was signed stays: a `lastEventId` that is part of the signed URL verifies as sent and is not touched,
 *   and it cannot be taken away or replaced;
 * - it is removed before the backend is asked, so nobody behind us can read it as a parameter of any kind;
 * - its value becomes the field Last-Event-ID and nothing else, and that field is outside of the signature
 *   anyhow: whoever holds a signed URL could send the field itself. Where a client did sign the field, it
 *   has sent it, and then its own value stands.
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

/** The backend gets the URL that was verified, and the id where a client that sends fields has it. */
export function resume(exchange: Exchange, { query, lastEventId }: ResumedQuery): void {
  if (/[^\t\x20-\x7e\x80-\xff]/.test(lastEventId)) {
    throw new ProxyError("bad_request", "lastEventId holds a control character");
  }
  exchange.foundTarget({ path: exchange.target.path, query });
  if (lastEventId !== "") exchange.foundLastEventId(lastEventId);
}
