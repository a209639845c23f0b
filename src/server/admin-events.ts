import type { ServerResponse } from "node:http";
import { overview } from "./admin-overview.ts";
import { beginEvents } from "./admin-reply.ts";
import { listStreams, type StreamQuery } from "./admin-streams.ts";
import type { Observatory } from "./observatory.ts";

/** Dashboards at a time. */
export const MAX_VIEWERS = 16;

/** A browser comes back at once; so it shows again now and then who it is. */
const MAX_AGE_MS = 3_600_000;

/** The dashboards' event streams: the last minutes first, then an overview once a second. */
export class AdminEvents {
  readonly #observatory: Observatory;
  readonly #viewers = new Set<ServerResponse>();

  constructor(observatory: Observatory) {
    this.#observatory = observatory;
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  /** Sends events until the viewer leaves. */
  open(response: ServerResponse, query: StreamQuery): void {
    const { activity } = this.#observatory;
    beginEvents(response);
    this.#viewers.add(response);
    const age = setTimeout(() => response.end(), MAX_AGE_MS);
    const unwatch = activity.watch(() => this.#send(response, query));
    response.once("close", () => {
      clearTimeout(age);
      unwatch();
      this.#viewers.delete(response);
    });
    response.write(`retry: 1000\n\n${event("history", activity.samples)}`);
    this.#send(response, query);
  }

  close(): void {
    for (const response of this.#viewers) response.end();
  }

  #send(response: ServerResponse, query: StreamQuery): void {
    // A viewer that does not keep up gets the next one instead.
    if (response.closed || response.writableEnded || response.writableNeedDrain) return;
    const streams = listStreams(this.#observatory.activity, query);
    response.write(event("overview", { ...overview(this.#observatory), streams }));
  }
}

const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
