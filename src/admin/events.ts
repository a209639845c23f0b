import type { ServerResponse } from "node:http";
import type { Log } from "../observe/log.ts";
import type { AdminView } from "./admin-view.ts";
import { beginEvents } from "./reply.ts";
import type { StreamQuery } from "./streams.ts";

/** The maximum number of dashboards at a time. */
export const MAX_VIEWERS = 16;

/** How long, in ms, a dashboard may read nothing, for example because its machine is gone; then it loses its place. */
const STALL_MS = 30_000;

/** The longest time, in ms, of one event stream. The browser reconnects at once and is authorized again. */
const MAX_AGE_MS = 3_600_000;

/** The event streams of dashboards: first the last minutes, then an overview once a second. */
export class AdminEvents {
  readonly #adminView: AdminView;
  readonly #log: Log;
  readonly #viewers = new Set<ServerResponse>();
  /** When each stalled viewer was first noticed, by `performance.now()`. */
  readonly #stalls = new WeakMap<ServerResponse, number>();
  /** The viewers for which an overview is being made. */
  readonly #awaiting = new WeakSet<ServerResponse>();

  constructor(adminView: AdminView, log: Log) {
    this.#adminView = adminView;
    this.#log = log;
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  /** Sends events until the viewer leaves. */
  open(response: ServerResponse, query: StreamQuery): void {
    beginEvents(response);
    this.#viewers.add(response);
    let age = setTimeout(() => {
      response.end();
      age = setTimeout(() => response.destroy(), STALL_MS);
    }, MAX_AGE_MS);
    const unwatch = this.#adminView.watch(() => void this.#send(response, query));
    response.once("close", () => {
      clearTimeout(age);
      unwatch();
      this.#viewers.delete(response);
    });
    response.write(`retry: 1000\n\n${event("history", this.#adminView.samples)}`);
    void this.#send(response, query);
  }

  close(): void {
    for (const response of this.#viewers) response.end();
  }

  #endStalled(response: ServerResponse): void {
    const now = performance.now();
    const since = this.#stalls.get(response) ?? now;
    this.#stalls.set(response, since);
    if (now - since > STALL_MS) response.destroy();
  }

  async #send(response: ServerResponse, query: StreamQuery): Promise<void> {
    if (!isOpen(response)) return;
    // A viewer that is behind skips this overview and gets the next one.
    if (response.writableNeedDrain) return this.#endStalled(response);
    this.#stalls.delete(response);
    if (this.#awaiting.has(response)) return;
    this.#awaiting.add(response);
    try {
      const view = await this.#adminView.view(query);
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
