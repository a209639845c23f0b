import type { ServerResponse } from "node:http";
import type { Log } from "../observe/log.ts";
import type { AdminView, View } from "./admin-view.ts";
import { beginEvents } from "./reply.ts";
import type { ViewQuery } from "./streams.ts";

/** The maximum number of dashboards at a time. */
export const MAX_VIEWERS = 16;

/** How long, in ms, a dashboard may read nothing, for example because its machine is gone; then it loses its place. */
const STALL_MS = 30_000;

/** The longest time, in ms, of one event stream. The browser reconnects at once and is authorized again. */
const MAX_AGE_MS = 3_600_000;

/** The parts of a view by name, as JSON. */
type Parts = ReadonlyMap<string, string>;

/** A dashboard that is open. */
interface Viewer {
  readonly response: ServerResponse;
  readonly query: ViewQuery;
  /** The parts that it has received. */
  sent: Parts;
  /** Whether a view is being made for it. */
  isWaiting: boolean;
  /** The time at which it was first seen to be behind, by `performance.now()`. */
  behindSince: number | undefined;
}

/**
 * The event streams of dashboards: first the last minutes, then once a second the parts of the view that have changed.
 * Dashboards that show the same share one view.
 */
export class AdminEvents {
  readonly #adminView: AdminView;
  readonly #log: Log;
  readonly #viewers = new Set<Viewer>();
  /** The views since the last sample, by query. */
  readonly #views = new Map<string, Promise<Parts>>();
  #unwatch: (() => void) | undefined;

  constructor(adminView: AdminView, log: Log) {
    this.#adminView = adminView;
    this.#log = log;
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  /** Sends events until the viewer leaves. */
  open(response: ServerResponse, query: ViewQuery): void {
    beginEvents(response);
    const viewer: Viewer = { response, query, sent: new Map(), isWaiting: false, behindSince: undefined };
    this.#viewers.add(viewer);
    let age = setTimeout(() => {
      response.end();
      age = setTimeout(() => response.destroy(), STALL_MS);
    }, MAX_AGE_MS);
    this.#unwatch ??= this.#adminView.watch(() => this.#onSample());
    response.once("close", () => {
      clearTimeout(age);
      this.#leave(viewer);
    });
    response.write(`retry: 1000\n\n${event("history", JSON.stringify(this.#adminView.samples))}`);
    void this.#send(viewer);
  }

  close(): void {
    for (const { response } of this.#viewers) response.end();
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#views.clear();
  }

  #onSample(): void {
    this.#views.clear();
    for (const viewer of this.#viewers) void this.#send(viewer);
  }

  #endIfStalled(viewer: Viewer): void {
    const now = performance.now();
    viewer.behindSince ??= now;
    if (now - viewer.behindSince > STALL_MS) viewer.response.destroy();
  }

  async #send(viewer: Viewer): Promise<void> {
    const { response } = viewer;
    if (!isOpen(response)) return;
    // A viewer that is behind skips this view; the next one has all that has changed since.
    if (response.writableNeedDrain) return this.#endIfStalled(viewer);
    viewer.behindSince = undefined;
    if (viewer.isWaiting) return;
    viewer.isWaiting = true;
    try {
      const parts = await this.#partsFor(viewer.query);
      if (isOpen(response)) response.write(event("overview", changes(viewer.sent, parts)));
      viewer.sent = parts;
    } catch (err) {
      this.#log.error({ err }, "overview failed");
    } finally {
      viewer.isWaiting = false;
    }
  }

  #partsFor(query: ViewQuery): Promise<Parts> {
    const key = JSON.stringify(query);
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const made = this.#adminView.view(query).then(partsOf);
    this.#views.set(key, made);
    return made;
  }
}

const isOpen = (response: ServerResponse): boolean => !response.closed && !response.writableEnded;

const event = (name: string, json: string): string => `event: ${name}\ndata: ${json}\n\n`;

function partsOf(view: View): Parts {
  return new Map(Object.entries(view).map(([name, part]) => [name, JSON.stringify(part ?? null)]));
}

/** Returns a JSON object with the parts that differ from those before. */
function changes(before: Parts, after: Parts): string {
  const changed = [...after].filter(([name, json]) => before.get(name) !== json);
  return `{${changed.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
}
