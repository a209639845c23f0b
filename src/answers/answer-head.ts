import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { contentCoding } from "../http/content-coding.ts";
import { fieldValue, setField, withoutField } from "../http/fields.ts";
import { responseFields } from "../http/forwarded-fields.ts";
import type { SourceHead } from "../http/source.ts";
import { isEventStream, type ResponseHead, streamHead } from "../stream/response-head.ts";

/** Returns the backend's fields that an answer keeps: without those of one connection, and without its cookies. */
export function keptFields({ rawHeaders }: SourceHead): string[] {
  return withoutField(responseFields(rawHeaders, true).fields, "set-cookie");
}

/** Whether an answer with these fields is an event stream that sluice can read: one without content coding. */
export const hasEvents = (rawHeaders: readonly string[]): boolean =>
  isEventStream({ status: 200, reason: "OK", rawHeaders }) && contentCoding(rawHeaders) === undefined;

/** The place where a client can read an answer again. */
export interface AnswerPlace {
  /** The path and query of its requests. */
  readonly target: string;
  readonly id: string;
}

/** Returns the head of a kept answer for one client, with the place where the client can read it again. */
export function answerHead(
  exchange: Exchange,
  route: Route,
  fields: readonly string[],
  { target, id, resumedFrom }: AnswerPlace & { readonly resumedFrom: string | undefined },
): ResponseHead {
  const head = streamHead(exchange, { status: 200, reason: "OK", rawHeaders: fields }, route);
  const { fields: kept } = head;
  setField(kept, "Location", locationOf(target, id));
  // A cache must not answer a later GET with it: authentication runs anew each time.
  if (exchange.request.method !== "POST" && fieldValue(kept, "cache-control") === undefined)
    kept.push("Cache-Control", "no-store");
  if (resumedFrom !== undefined) kept.push("Sluice-Resumed-From", resumedFrom);
  return head;
}

function locationOf(target: string, id: string): string {
  // Two slashes at the start would make the path another host (RFC 3986 section 4.2).
  return `${target.replace(/^\/+/, "/")}${target.includes("?") ? "&" : "?"}answer=${id}`;
}
