import type { Exchange } from "../exchange/exchange.ts";
import { isReconnecting } from "../exchange/live-stream.ts";
import { fieldValue } from "../http/fields.ts";
import type { Batch } from "../shared/batch.ts";
import type { ClientTerms } from "../shared/channel-client.ts";
import type { History } from "../shared/history.ts";
import type { Start } from "../shared/resume.ts";
import { Boundary } from "../sse/boundary.ts";
import { type AddedLines, addedLines } from "../stream/opening.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import { type AnswerPlace, answerHead, hasEvents } from "./answer-head.ts";
import { answerStart } from "./answer-start.ts";

export interface AnswerTermsOptions {
  readonly place: AnswerPlace;
  readonly history: History;
  /** The request that the backend gets. */
  readonly first: Exchange | undefined;
  /** Whether the record outlives this process. */
  readonly isLasting: boolean;
  /** Returns the backend's fields. */
  fields(): readonly string[];
  /** Whether the answer has a single client. */
  isOnly(): boolean;
}

/** The terms of a named answer: a client without an id gets it from the start, and the only client may be slow. */
export class AnswerTerms implements ClientTerms {
  readonly #options: Omit<AnswerTermsOptions, "first">;
  #first: Exchange | undefined;

  constructor({ first, ...options }: AnswerTermsOptions) {
    this.#options = options;
    this.#first = first;
  }

  /** Every client that begins from now on has come back. */
  forgetFirst(): void {
    this.#first = undefined;
  }

  /** No other process could continue an answer that is in memory: a drain lets it finish. */
  isReconnecting(exchange: Exchange): boolean {
    return this.#options.isLasting && isReconnecting(exchange);
  }

  addedLines({ request, route }: Exchange): AddedLines {
    if (route === undefined || !hasEvents(this.#options.fields())) return "none";
    return addedLines(route.config.stream, request.rawHeaders);
  }

  startFor(lastEventId: string): Start {
    const { history } = this.#options;
    // The client was judged before: its start is kept.
    return answerStart(history, lastEventId) ?? { seq: history.lastSeq, resumedFrom: "live", isGap: false };
  }

  /** Returns the head with the present route's policies; those of the answer's own route may be older. */
  headFor(exchange: Exchange, { resumedFrom }: Start): ResponseHead {
    const { route, request } = exchange;
    const { place, fields } = this.#options;
    if (route === undefined) throw new TypeError("a client of an answer has a route");
    // The first client is told only if it asked to resume.
    const isNew = exchange === this.#first && fieldValue(request.rawHeaders, "last-event-id") === undefined;
    return answerHead(exchange, route, fields(), { ...place, resumedFrom: isNew ? undefined : resumedFrom });
  }

  /** A client that lacks events is refused before it begins. */
  gapFor(): { block: Buffer; ends: boolean } {
    return { block: Buffer.alloc(0), ends: true };
  }

  /** Counts them: a kept block holds all events of one read. */
  eventsIn({ bytes, events }: Batch): number {
    if (!hasEvents(this.#options.fields())) return events;
    const boundary = new Boundary();
    boundary.scan(bytes.plain, 0, bytes.plain.length);
    return boundary.events;
  }

  waitsFor(): boolean {
    return this.#options.isOnly();
  }
}
