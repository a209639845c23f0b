import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { SharedBytes } from "../http/shared-bytes.ts";
import { type AddedLines, openingLines } from "../stream/opening.ts";
import { ordinaryHead, type ResponseHead, streamHead } from "../stream/response-head.ts";
import type { Subscription } from "./subscription.ts";

/** Contains no field of the backend's head: a field such as Set-Cookie is meant for one client, and all would get it. */
const STREAM = { status: 200, reason: "OK", rawHeaders: ["Content-Type", "text/event-stream"] };

const POLL = {
  ...STREAM,
  rawHeaders: ["Content-Type", "application/json", "Cache-Control", "no-store"],
};

/** Returns the head of a shared stream for one client; `resumedFrom` tells a reconnecting client where it resumes. */
export function subscriberHead(
  exchange: Exchange,
  route: Route,
  resumedFrom: string | undefined,
): ResponseHead {
  return resumed(streamHead(exchange, STREAM, route), resumedFrom);
}

/** Returns the head of a response to a poll. */
export function pollHead(exchange: Exchange, route: Route, resumedFrom: string | undefined): ResponseHead {
  return resumed(ordinaryHead(exchange, POLL, route), resumedFrom);
}

/** Answers a HEAD with the head that a GET would get if its stream is open; the backend is not asked. */
export function answerHead(
  exchange: Exchange,
  response: ClientResponse,
  route: Route,
  { poll }: Subscription,
): void {
  const head =
    poll === undefined ? subscriberHead(exchange, route, undefined) : pollHead(exchange, route, undefined);
  response.writeHead(head.status, head.reason, head.fields);
  exchange.account.headSent(head.status);
  response.end();
}

function resumed(head: ResponseHead, from: string | undefined): ResponseHead {
  if (from !== undefined) head.fields.push("Sluice-Resumed-From", from);
  return head;
}

/** Returns the added lines and the first bytes, such as a gap event; undefined for none. */
export function openingOf(
  { config }: Route,
  added: AddedLines,
  { retryMs, first }: { readonly retryMs: number | undefined; readonly first: Buffer | undefined },
): SharedBytes | undefined {
  const lines = Buffer.from(openingLines(config.stream, added, retryMs));
  if (lines.length === 0 && first === undefined) return undefined;
  return new SharedBytes(first === undefined ? lines : Buffer.concat([lines, first]));
}
