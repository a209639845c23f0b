import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { SharedBytes } from "../http/shared-bytes.ts";
import { openingLines } from "../stream/opening.ts";
import { ordinaryHead, type ResponseHead, streamHead } from "../stream/response-head.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Nothing of the backend's own head: what it set, a cookie among it, was meant for one who asked, and nobody
 * of those who get it now did.
 */
const STREAM = { status: 200, reason: "OK", rawHeaders: ["Content-Type", "text/event-stream"] };

const POLL = {
  ...STREAM,
  rawHeaders: ["Content-Type", "application/json", "Cache-Control", "no-store"],
};

/** The head of a shared stream for one client; `resumedFrom` tells whoever came back where it goes on. */
export function subscriberHead(
  exchange: Exchange,
  route: Route,
  resumedFrom: string | undefined,
): ResponseHead {
  return resumed(streamHead(exchange, STREAM, route), resumedFrom);
}

/** The head of an answer to a poll. */
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

/** What goes out before the first event; undefined for nothing. */
export function openingOf(
  { config }: Route,
  retryMs: number | undefined,
  gap: Buffer | undefined,
): SharedBytes | undefined {
  const lines = Buffer.from(openingLines(config.stream, retryMs));
  if (lines.length === 0 && gap === undefined) return undefined;
  return new SharedBytes(gap === undefined ? lines : Buffer.concat([lines, gap]));
}
