import type { IncomingMessage, ServerResponse } from "node:http";

/** The fields with which a backend's events arrive one by one, even through an nginx with default settings. */
export const EVENT_STREAM_FIELDS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache",
  "X-Accel-Buffering": "no",
} as const;

/** One event; without `event` its type is `message`. */
export interface FeedEvent {
  readonly event?: string;
  readonly data: string;
}

interface Remembered {
  readonly id: string;
  readonly block: string;
}

const MAX_CLIENTS = 500;
/** A client with more pending bytes is disconnected; its browser reconnects and catches up from the history. */
const MAX_PENDING_BYTES = 64 * 1024;

/** An event stream for any number of clients, with a short history for reconnecting ones. */
export class Feed {
  readonly #clients = new Set<ServerResponse>();
  readonly #history: Remembered[] = [];
  readonly #historyLimit: number;
  /** Part of each id, so that ids of an earlier run of this program do not match. */
  readonly #run = Date.now().toString(36);
  #count = 0;

  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  /** The number of connected clients. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Responds with the stream: first the events that the client missed or, for a new client, the last `recent` events.
   * `fields` are the fields of the response head.
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

  /** Sends an event to all clients, and keeps it for reconnecting ones. */
  publish(event: FeedEvent): void {
    this.#count += 1;
    const id = `${this.#run}-${this.#count}`;
    const block = `id: ${id}\n${encode(event)}`;
    this.#history.push({ id, block });
    if (this.#history.length > this.#historyLimit) this.#history.shift();
    this.#send(block);
  }

  /** Sends an event to all clients without keeping it. */
  announce(event: FeedEvent): void {
    this.#send(encode(event));
  }

  /** Aborts every connection, as a crash does. */
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
    // For an id that is not kept any more, the whole history is sent.
    return this.#history.slice(seen + 1);
  }

  #send(block: string): void {
    for (const res of this.#clients) {
      if (res.writableLength > MAX_PENDING_BYTES) res.destroy();
      else res.write(block);
    }
  }
}

/** Returns an event block. The demo's data has no line break: it is JSON, a number or a time. */
export function encode({ event, data }: FeedEvent): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${data}\n\n`;
}
