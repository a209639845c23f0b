import type { IncomingMessage, ServerResponse } from "node:http";

/** What a backend must send for its events to arrive one by one, also through a plain nginx. */
export const EVENT_STREAM_FIELDS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache",
  "X-Accel-Buffering": "no",
} as const;

/** One event as a backend thinks of it; without `event` the browser calls it `message`. */
export interface FeedEvent {
  readonly event?: string;
  readonly data: string;
}

interface Remembered {
  readonly id: string;
  readonly block: string;
}

const MAX_CLIENTS = 500;
/** A client that is this far behind is dropped; its browser comes back and catches up from the history. */
const MAX_PENDING_BYTES = 64 * 1024;

/** An event stream for any number of clients, with a short history for those that come back. */
export class Feed {
  readonly #clients = new Set<ServerResponse>();
  readonly #history: Remembered[] = [];
  readonly #historyLimit: number;
  /** Ids of an earlier run of this program must not match ours. */
  readonly #run = Date.now().toString(36);
  #count = 0;

  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  /** How many clients listen now. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Answers with the stream: first what the client missed or, for a new one, the last `recent` events. `fields` are
   * those of the head.
   */
  subscribe(
    req: IncomingMessage,
    res: ServerResponse,
    {
      recent = 0,
      fields = EVENT_STREAM_FIELDS,
    }: { readonly recent?: number; readonly fields?: Readonly<Record<string, string>> } = {},
  ): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      res.writeHead(503, { "Retry-After": "5" }).end();
      return;
    }
    res.writeHead(200, fields);
    if (req.method === "HEAD") {
      res.end();
      return;
    }
    res.write("retry: 1000\n\n");
    for (const { block } of this.#missedSince(req.headers["last-event-id"], recent)) res.write(block);
    this.#clients.add(res);
    res.once("close", () => this.#clients.delete(res));
  }

  /** Sends an event to everyone who listens, and keeps it for those who come back. */
  publish(event: FeedEvent): void {
    this.#count += 1;
    const id = `${this.#run}-${this.#count}`;
    const block = `id: ${id}\n${encode(event)}`;
    this.#history.push({ id, block });
    if (this.#history.length > this.#historyLimit) this.#history.shift();
    this.#send(block);
  }

  /** Sends an event of the moment, which nobody needs to catch up on. */
  announce(event: FeedEvent): void {
    this.#send(encode(event));
  }

  /** Breaks every connection off, as a backend that crashes does. */
  cut(): void {
    for (const res of this.#clients) res.destroy();
  }

  /** Ends every stream. */
  close(): void {
    for (const res of this.#clients) res.end();
  }

  #missedSince(lastEventId: string | string[] | undefined, recent: number): readonly Remembered[] {
    if (lastEventId === undefined) return recent === 0 ? [] : this.#history.slice(-recent);
    const seen = this.#history.findIndex(({ id }) => id === lastEventId);
    // An id we no longer hold: everything we have is the nearest to the truth.
    return this.#history.slice(seen + 1);
  }

  #send(block: string): void {
    for (const res of this.#clients) {
      if (res.writableLength > MAX_PENDING_BYTES) res.destroy();
      else res.write(block);
    }
  }
}

/** One event block. Data never holds a line break here: it is JSON, a number or a time. */
export function encode({ event, data }: FeedEvent): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${data}\n\n`;
}
