import { guarded } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";
import type { BackendFiles } from "../limits/backend-files.ts";
import type { Log } from "../observe/log.ts";
import { CatchUp } from "./catch-up.ts";
import { ChannelBackend } from "./channel-backend.ts";
import type { ChannelClient, Membership } from "./channel-client.ts";
import { Deadlines } from "./deadlines.ts";
import { Delivery, eachRecipient } from "./delivery.ts";
import { boundedState, failureOf } from "./failure.ts";
import { isGap } from "./gap.ts";
import type { History } from "./history.ts";
import { Linger } from "./linger.ts";
import { PollBodies } from "./poll-bodies.ts";
import { replaceRecord } from "./resume.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import { StallWatch } from "./stall-watch.ts";
import type { BackendState, ChannelFeed, ChannelStore, StoredEvent, StreamRecord } from "./store.ts";

/** What waits to be delivered before the backend is no longer read: it outruns the loop over the clients. */
const MAX_PENDING_BYTES = 1024 * 1024;

const MIN_PATIENCE_MS = 1_000;

/** Node takes a longer time for none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface ChannelOptions {
  /** A name that shows nothing of its key, for logs. */
  readonly name: string;
  readonly route: SharedRoute;
  readonly history: History;
  readonly store: ChannelStore;
  readonly log: Log;
  readonly files: BackendFiles;
  /** Reports an error of our own, in a callback that belongs to no exchange. */
  readonly onFault: (error: unknown) => void;
  dial(lastEventId: string, asker: Cancellation): Promise<Source>;
  /** It has closed by itself, and takes nobody any more. */
  onClosed(channel: Channel): void;
}

/**
 * One stream for any number of clients: one backend request, what was kept of it, and who takes it.
 *
 * The backend's blocks go into the store, and what comes out of the store goes to the clients; so this process
 * may be the one that asks the backend, or another may be, and the clients cannot tell.
 */
export class Channel implements ChannelFeed, Membership {
  readonly name: string;
  readonly route: SharedRoute;
  readonly history: History;
  readonly pollBodies: PollBodies;
  readonly #options: ChannelOptions;
  readonly #store: ChannelStore;
  readonly #backend: ChannelBackend;
  readonly #delivery: Delivery;
  readonly #catchUp: CatchUp;
  readonly #stalls: StallWatch;
  readonly #deadlines: Deadlines;
  readonly #linger: Linger;
  /** Those who wait for the stream to be there. */
  readonly #waiting = new Set<ChannelClient>();
  readonly #clients = new Set<ChannelClient>();
  #state: BackendState = { is: "connecting" };
  #isClosed = false;
  #isRetired = false;
  readonly #openedAt = performance.now();
  #heartbeat: NodeJS.Timeout | undefined;
  /** Until clients that wait for a first word of the backend are refused. */
  #patience: NodeJS.Timeout | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.name = options.name;
    this.route = options.route;
    this.history = options.history;
    this.pollBodies = new PollBodies(this.history);
    this.#store = options.store;
    const { onFault, files } = options;
    this.#catchUp = new CatchUp(this.history, this.#store, onFault);
    this.#deadlines = new Deadlines(onFault);
    const { sendTimeout, heartbeat } = this.route.config.stream;
    this.#backend = new ChannelBackend({
      ...options,
      retryMs: () => this.retryMs,
      log: (level, facts, message) => this.#log(level, facts, message),
    });
    this.#linger = new Linger({
      files,
      holdsFile: () => this.#backend.holdsFile,
      close: () => this.close(),
      onFault,
    });
    this.#delivery = new Delivery(this.history, this.#clients, () => this.#afterPass(), onFault);
    this.#stalls = new StallWatch(sendTimeout, onFault);
    const beat = guarded(onFault, () => this.#beat());
    if (heartbeat !== undefined) this.#heartbeat = setTimeout(beat, heartbeat);
    this.#store.start(this);
  }

  /** The longest that whoever asks the backend may take for its answer, retries included, before it is none. */
  get #patienceMs(): number {
    const { upstream } = this.route;
    if (upstream === undefined) return MIN_PATIENCE_MS;
    const { connectTimeout, responseHeaderTimeout } = upstream.timeouts;
    const longest = (upstream.retries + 2) * (connectTimeout + responseHeaderTimeout);
    return Math.min(MAX_TIMER_MS, Math.max(MIN_PATIENCE_MS, longest));
  }

  /** Clients that have the stream or wait for it. */
  get size(): number {
    return this.#clients.size + this.#waiting.size;
  }

  get retryMs(): number | undefined {
    return this.#state.is === "open" ? this.#state.retryMs : undefined;
  }

  /** Gives a client the stream as soon as it is there, or the answer that everybody gets. */
  join(client: ChannelClient): void {
    this.#linger.stop();
    this.history.touch();
    this.#trim();
    this.#waiting.add(client);
    this.#answer(client);
    if (this.#state.is !== "connecting") return;
    this.#patience ??= setTimeout(
      guarded(this.#options.onFault, () => this.#giveUpWaiting()),
      this.#patienceMs,
    );
  }

  leave(client: ChannelClient): void {
    this.#waiting.delete(client);
    this.#clients.delete(client);
    this.#stalls.delete(client);
    this.#deadlines.delete(client);
    if (this.size === 0) this.#startLinger();
  }

  blocked(client: ChannelClient, isBlocked: boolean): void {
    this.#stalls[isBlocked ? "add" : "delete"](client);
  }

  scheduleRelease(): void {
    this.#delivery.schedule();
  }

  /** Nobody new will come: it closes when the last client has left. */
  retire(): void {
    this.#isRetired = true;
    if (this.size === 0) this.close();
  }

  /** Gives up the backend request and what was kept; clients that are left are ended. */
  close(reason: EndReason = "drained"): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    eachRecipient([...this.#waiting, ...this.#clients], (client) => client.endAtBoundary(reason));
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#patience);
    this.#linger.stop();
    this.#delivery.stop();
    this.#backend.stop();
    this.#store.close();
    this.#log("info", { events: this.history.lastSeq }, "shared stream closed");
    this.history.close();
    this.#options.onClosed(this);
  }

  // What the store feeds.

  onRecord(record: StreamRecord): void {
    this.#delivery.flush();
    replaceRecord(this.history, record, [...this.#clients]);
    this.#delivery.flush();
  }

  onEvents(events: readonly StoredEvent[]): void {
    for (const event of events) this.history.push(event);
    this.#heartbeat?.refresh();
    this.#delivery.schedule();
    if (this.#delivery.pendingBytes > MAX_PENDING_BYTES) this.#backend.pause();
    if (sharedOf(this.route).onGap === "close" && events.some(({ block }) => isGap(block))) {
      this.#endAll("completed");
    }
  }

  onState(said: BackendState): void {
    const before = this.#state;
    const state = boundedState(said, sharedOf(this.route).redial);
    this.#state = state;
    if (state.is === "connecting") return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (state.is === "open" && before.is === "open") {
      const { retryMs } = state;
      if (retryMs === undefined || retryMs === before.retryMs) return;
      eachRecipient(this.#clients, (client) => client.setRetry(retryMs));
      return;
    }
    if (state.is === "ended") this.#endAll("backend_ended");
    if (state.is === "failed") this.#breakAll(state);
    eachRecipient([...this.#waiting], (client) => this.#answer(client));
    if (this.size === 0) this.#startLinger();
  }

  onLead(): void {
    this.#backend.start(this.#state.is === "open");
  }

  onFollow(): void {
    this.#backend.stop();
  }

  onDegraded(isDegraded: boolean): void {
    this.#log("warn", { isDegraded }, "shared stream's record");
  }

  held(afterSeq: number): readonly StoredEvent[] {
    return this.history.after(afterSeq);
  }

  /** Tells one that waits how the stream stands. */
  #answer(client: ChannelClient, isSought = false): void {
    const state = this.#state;
    if (state.is === "connecting" || !this.#waiting.has(client)) return;
    if (!isSought && this.#catchUp.seek(client, () => this.#answerSought(client))) return;
    this.#waiting.delete(client);
    if (state.is === "failed") return void client.refuse(failureOf(state));
    this.#clients.add(client);
    if (state.is === "ended") return void client.dismiss();
    this.#deadlines.add(client);
    client.begin();
    this.scheduleRelease();
  }

  #answerSought(client: ChannelClient): void {
    eachRecipient([client], () => this.#answer(client, true));
  }

  /** Another instance asks the backend, and says nothing of it for longer than that can take. */
  #giveUpWaiting(): void {
    this.#patience = undefined;
    if (this.#state.is !== "connecting") return;
    const retryAt = Date.now() + MIN_PATIENCE_MS;
    this.onState({ is: "failed", status: 504, code: "backend_timeout", fields: [], retryAt });
  }

  /** Everybody has what there was, and there will be no more. */
  #endAll(reason: EndReason): void {
    this.#delivery.flush();
    eachRecipient([...this.#clients], (client) => client.finish(reason));
  }

  #breakAll(state: Extract<BackendState, { is: "failed" }>): void {
    this.#delivery.flush();
    eachRecipient([...this.#clients], (client) => client.abort("backend_failed", failureOf(state)));
  }

  #beat(): void {
    eachRecipient(this.#clients, (client) => client.beat());
    if (this.#clients.size > 0) this.history.touch();
    this.#trim();
    this.#heartbeat?.refresh();
  }

  #afterPass(): void {
    this.pollBodies.release();
    this.#trim();
    this.#backend.resume();
  }

  /** Forgets what is beyond the bounds, except what a client that is a little late still needs. */
  #trim(): void {
    const { clientBuffer } = this.route.config.stream;
    let needed = Number.POSITIVE_INFINITY;
    for (const { seq } of this.#stalls.takers) {
      if (this.history.bytesAfter(seq) <= clientBuffer) needed = Math.min(needed, seq + 1);
    }
    this.history.trim(Date.now(), needed - 1);
  }

  /** Nobody is on it: it closes after a while, at once if there is nothing to come back to. */
  #startLinger(): void {
    if (this.#isClosed) return;
    if (this.#isRetired) this.close();
    else this.#linger.start(this.#lingerMs());
  }

  #lingerMs(): number {
    const state = this.#state;
    // Until then everybody gets the same answer, and the backend is left alone.
    if (state.is === "failed") return Math.max(0, state.retryAt - Date.now());
    return sharedOf(this.route).linger;
  }

  #log(level: "info" | "warn", facts: Record<string, unknown>, message: string): void {
    const { config, environment } = this.route;
    const durationMs = Math.round(performance.now() - this.#openedAt);
    const own = {
      route: config.name,
      stage: environment,
      channel: this.name,
      clients: this.size,
      durationMs,
    };
    this.#options.log[level]({ ...own, ...facts }, message);
  }
}
