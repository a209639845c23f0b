import type { ServerResponse } from "node:http";
import type { Log } from "../observe/log.ts";
import { beginEvents } from "./admin-reply.ts";
import type { StreamQuery } from "./admin-streams.ts";
import type { Insight } from "./insight.ts";

/** Dashboards at a time. */
export const MAX_VIEWERS = 16;

/** A browser comes back at once; so it shows again now and then who it is. */
const MAX_AGE_MS = 3_600_000;

/** The dashboards' event streams: the last minutes first, then an overview once a second. */
export class AdminEvents {
  readonly #insight: Insight;
  readonly #log: Log;
  readonly #viewers = new Set<ServerResponse>();
  /** Those for whom an overview is being made. */
  readonly #awaiting = new WeakSet<ServerResponse>();

  constructor(insight: Insight, log: Log) {
    this.#insight = insight;
    this.#log = log;
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  /** Sends events until the viewer leaves. */
  open(response: ServerResponse, query: StreamQuery): void {
    beginEvents(response);
    this.#viewers.add(response);
    const age = setTimeout(() => response.end(), MAX_AGE_MS);
    const unwatch = this.#insight.watch(() => void this.#send(response, query));
    response.once("close", () => {
      clearTimeout(age);
      unwatch();
      this.#viewers.delete(response);
    });
    response.write(`retry: 1000\n\n${event("history", this.#insight.samples)}`);
    void this.#send(response, query);
  }

  close(): void {
    for (const response of this.#viewers) response.end();
  }

  async #send(response: ServerResponse, query: StreamQuery): Promise<void> {
    // A viewer that does not keep up gets the next one instead.
    if (!isOpen(response) || response.writableNeedDrain || this.#awaiting.has(response)) return;
    this.#awaiting.add(response);
    try {
      const view = await this.#insight.view(query);
      if (isOpen(response)) response.write(event("overview", view));
    } catch (err) {
      this.#log.error({ err }, "overview failed");
    } finally {
      this.#awaiting.delete(response);
    }
  }
}

const isOpen = (response: ServerResponse): boolean => !response.closed && !response.writableEnded;

const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
