import type { Exchange } from "../exchange/exchange.ts";
import { isReconnecting } from "../exchange/live-stream.ts";
import { type AddedLines, addedLines } from "../stream/opening.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import type { Batch } from "./batch.ts";
import type { ClientTerms } from "./channel-client.ts";
import { withId } from "./event-id.ts";
import { gapBlock } from "./gap.ts";
import type { History } from "./history.ts";
import { type Start, startFor } from "./resume.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import { subscriberHead } from "./subscriber-head.ts";

/** The terms of a shared stream: a client without an id gets new events only, and a slow client is ended. */
export class SharedTerms implements ClientTerms {
  readonly #route: SharedRoute;
  readonly #history: History;

  constructor(route: SharedRoute, history: History) {
    this.#route = route;
    this.#history = history;
  }

  isReconnecting(exchange: Exchange): boolean {
    return isReconnecting(exchange);
  }

  addedLines({ request }: Exchange): AddedLines {
    return addedLines(this.#route.config.stream, request.rawHeaders);
  }

  startFor(lastEventId: string): Start {
    return startFor(this.#history, lastEventId);
  }

  headFor(exchange: Exchange, { resumedFrom }: Start): ResponseHead {
    return subscriberHead(exchange, this.#route, resumedFrom);
  }

  /** The gap event has the id to reconnect with. */
  gapFor({ seq, resumedFrom = "live" }: Start, lastEventId: string): { block: Buffer; ends: boolean } {
    const { onGap, ids } = sharedOf(this.#route);
    const block = gapBlock(lastEventId, resumedFrom);
    // An empty id resets the client's last event id, so that it starts afresh (WHATWG HTML, section 9.2.6).
    if (onGap === "close") return { block: withId(block, ""), ends: true };
    const own = () => this.#history.at(seq)?.id ?? this.#history.positionId(seq);
    return { block: ids === "never" ? block : withId(block, own()), ends: false };
  }

  eventsIn({ events }: Batch): number {
    return events;
  }

  waitsFor(): boolean {
    return false;
  }
}
