import { readEvent } from "../sse/event-fields.ts";
import type { History } from "./history.ts";

/** The largest response to a poll; further events are there for the next poll at once. */
const MAX_EVENTS = 1000;
const MAX_BYTES = 1024 * 1024;

/** The bodies of responses to polls, made once for all polls at the same position in the same turn. */
export class PollBodies {
  readonly #history: History;
  readonly #texts = new Map<number, string>();

  constructor(history: History) {
    this.#history = history;
  }

  /** Returns the events behind a position as JSON; ids and data are UTF-8. */
  after(seq: number, isGap: boolean): string {
    const text = this.#texts.get(seq) ?? this.#render(seq);
    this.#texts.set(seq, text);
    return `${text}${isGap}}`;
  }

  /** Releases the bodies of this turn. */
  release(): void {
    if (this.#texts.size > 0) this.#texts.clear();
  }

  #render(seq: number): string {
    const events: string[] = [];
    let { lastId } = this.#history;
    let bytes = 0;
    for (const { id, block } of this.#history.eachAfter(seq)) {
      lastId = id;
      bytes += block.length;
      const event = readEvent(block);
      if (event !== undefined) events.push(JSON.stringify({ id: utf8(id), ...event }));
      if (events.length === MAX_EVENTS || bytes >= MAX_BYTES) break;
    }
    return `{"events":[${events.join(",")}],"lastEventId":${JSON.stringify(utf8(lastId))},"gap":`;
  }
}

const utf8 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");
