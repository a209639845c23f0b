import type { EndReason } from "../base/outcome.ts";
import type { BackendFiles } from "../limits/backend-files.ts";
import type { Log } from "../observe/log.ts";
import type { DialStream } from "./backend-link.ts";
import { boundedState, failureOf, timedOut } from "./backend-verdict.ts";
import { Beats } from "./beats.ts";
import { CatchUp } from "./catch-up.ts";
import { ChannelBackend } from "./channel-backend.ts";
import type { ChannelClient, Membership } from "./channel-client.ts";
import { ChannelLog } from "./channel-log.ts";
import { ConnectingTimeout } from "./connecting-timeout.ts";
import { Deadlines } from "./deadlines.ts";
import { Delivery, eachRecipient } from "./delivery.ts";
import { isGap } from "./gap.ts";
import type { History } from "./history.ts";
import { Linger } from "./linger.ts";
import { PollBodies } from "./poll-bodies.ts";
import { replaceRecord } from "./resume.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import { SharedTerms } from "./shared-terms.ts";
import { StallWatch } from "./stall-watch.ts";
import type { BackendState, ChannelFeed, ChannelStore, StoredEvent, StreamRecord } from "./store.ts";

/** At this many bytes of undelivered events the backend is not read: it is faster than the loop over the clients. */
const MAX_PENDING_BYTES = 1024 * 1024;

export interface ChannelOptions {
  /** A hash of its key, for logs. */
  readonly name: string;
  readonly route: SharedRoute;
  readonly history: History;
  readonly store: ChannelStore;
  readonly log: Log;
  readonly files: BackendFiles;
  /** Reports a fault in a callback that belongs to no exchange. */
  readonly onFault: (error: unknown) => void;
  readonly dial: DialStream;
  /** The channel has closed and accepts no more clients. */
  onClosed(channel: Channel): void;
}

/**
 * One stream for any number of clients: one backend request, the history of its events, and the clients.
 *
 * The backend's events go into the store, and the store feeds them back to the channel, which delivers them. So for the
 * clients it makes no difference whether this instance or another one asks the backend.
 */
export class Channel implements ChannelFeed, Membership {
  readonly route: SharedRoute;
  readonly history: History;
  readonly pollBodies: PollBodies;
  readonly beats: Beats;
  readonly terms: SharedTerms;
  readonly #options: ChannelOptions;
  readonly #store: ChannelStore;
  readonly #backend: ChannelBackend;
  readonly #delivery: Delivery;
  readonly #catchUp: CatchUp;
  readonly #stalls: StallWatch;
  readonly untaken: StallWatch;
  readonly #deadlines: Deadlines;
  readonly #linger: Linger;
  /** Clients that wait for the stream to open. */
  readonly #waiting = new Set<ChannelClient>();
  readonly #clients = new Set<ChannelClient>();
  #state: BackendState = { is: "connecting" };
  #isClosed = false;
  #isRetired = false;
  readonly #log: ChannelLog;
  readonly #connecting: ConnectingTimeout;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.route = options.route;
    this.history = options.history;
    this.pollBodies = new PollBodies(this.history);
    this.terms = new SharedTerms(this.route, this.history);
    this.#store = options.store;
    const { onFault, files } = options;
    this.#log = new ChannelLog(options.log, options.name, this);
    this.#catchUp = new CatchUp(this.history, this.#store, onFault);
    this.#deadlines = new Deadlines(onFault);
    this.#connecting = new ConnectingTimeout(this.route.upstream, () => this.#giveUpWaiting(), onFault);
    const { sendTimeout, heartbeat } = this.route.config.stream;
    this.#backend = new ChannelBackend({
      ...options,
      retryMs: () => this.retryMs,
      log: (level, facts, message) => this.#log.write(level, facts, message),
    });
    this.#linger = new Linger({
      files,
      holdsFile: () => this.#backend.holdsFile,
      close: () => this.close(),
      onFault,
    });
    this.#delivery = new Delivery(this.history, this.#clients, () => this.#afterPass(), onFault);
    this.#stalls = new StallWatch(sendTimeout, onFault);
    this.untaken = new StallWatch(sendTimeout, onFault);
    this.beats = new Beats(heartbeat, () => this.#beat(), onFault);
    this.#store.start(this);
  }

  /** The number of clients, waiting ones included. */
  get size(): number {
    return this.#clients.size + this.#waiting.size;
  }

  get retryMs(): number | undefined {
    return this.#state.is === "open" ? this.#state.retryMs : undefined;
  }

  /** Adds a client: it gets the stream as soon as that is open, or the same refusal as all others. */
  join(client: ChannelClient): void {
    this.#linger.stop();
    this.history.touch();
    this.#trim();
    if (this.#mustWait(client)) this.#waiting.add(client);
    else this.#admit(client);
    if (this.#state.is === "connecting") this.#connecting.start();
  }

  leave(client: ChannelClient): void {
    this.#waiting.delete(client);
    this.#clients.delete(client);
    this.#stalls.delete(client);
    this.untaken.delete(client);
    this.#deadlines.delete(client);
    if (this.size === 0) this.#startLinger();
  }

  blocked(client: ChannelClient, isBlocked: boolean): void {
    this.#stalls[isBlocked ? "add" : "delete"](client);
  }

  scheduleRelease(): void {
    this.#delivery.schedule();
  }

  /** No new clients will join: the channel closes when the last one has left. */
  retire(): void {
    this.#isRetired = true;
    if (this.size === 0) this.close();
  }

  /** Ends all clients, cancels the backend request and releases the history. */
  close(reason: EndReason = "drained"): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    eachRecipient([...this.#waiting, ...this.#clients], (client) => client.endAtBoundary(reason));
    this.beats.stop();
    this.#connecting.stop();
    this.#linger.stop();
    this.#delivery.stop();
    this.#backend.stop();
    this.#store.close();
    this.#log.write("info", { events: this.history.lastSeq }, "shared stream closed");
    this.history.close();
    this.#options.onClosed(this);
  }

  // The store's feed (ChannelFeed).

  onRecord(record: StreamRecord): void {
    this.#delivery.flush();
    replaceRecord(this.history, record, [...this.#clients]);
    this.#delivery.flush();
  }

  onEvents(events: readonly StoredEvent[]): void {
    for (const event of events) this.history.push(event);
    this.beats.restart();
    this.#delivery.schedule();
    if (this.#delivery.pendingBytes > MAX_PENDING_BYTES) this.#backend.pause();
    if (sharedOf(this.route).onGap === "close" && events.some(({ block }) => isGap(block))) {
      this.#endAll("completed");
    }
  }

  onState(announced: BackendState): void {
    const before = this.#state;
    const state = boundedState(announced, sharedOf(this.route).redial);
    this.#state = state;
    if (state.is === "connecting") return;
    this.#connecting.stop();
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
    const reached = isDegraded ? "cannot be reached" : "can be reached again";
    this.#log.write("warn", { isDegraded }, `the shared stream's record ${reached}`);
  }

  held(afterSeq: number): readonly StoredEvent[] {
    return this.history.after(afterSeq);
  }

  /** Whether the backend's state is unknown, or the last event of the client is still sought. */
  #mustWait(client: ChannelClient): boolean {
    if (this.#state.is === "connecting") return true;
    return this.#catchUp.seek(client, () => this.#answerSought(client));
  }

  #answer(client: ChannelClient): void {
    if (!this.#waiting.has(client) || this.#mustWait(client)) return;
    this.#waiting.delete(client);
    this.#admit(client);
  }

  /** Gives a client the stream or a refusal; the backend's state is known. */
  #admit(client: ChannelClient): void {
    const state = this.#state;
    if (state.is === "failed") return void client.refuse(failureOf(state));
    this.#clients.add(client);
    if (state.is === "ended") return void client.dismiss();
    this.#deadlines.add(client);
    client.begin();
    this.scheduleRelease();
  }

  #answerSought(client: ChannelClient): void {
    if (this.#state.is === "connecting" || !this.#waiting.delete(client)) return;
    eachRecipient([client], () => this.#admit(client));
  }

  /** Another instance asks the backend, and has announced no result for longer than a dial can take. */
  #giveUpWaiting(): void {
    if (this.#state.is === "connecting") this.onState(timedOut());
  }

  /** Ends all clients after the last event. */
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
    this.#backend.noteHeartbeat(this.#clients.size);
    this.#trim();
    this.beats.restart();
  }

  #afterPass(): void {
    this.pollBodies.release();
    this.#trim();
    this.#backend.resume();
  }

  /** Evicts events beyond the bounds, except those that a client within `stream.clientBuffer` still needs. */
  #trim(): void {
    const { clientBuffer } = this.route.config.stream;
    let needed = Number.POSITIVE_INFINITY;
    for (const { seq } of this.#stalls.takers) {
      if (this.history.bytesAfter(seq) <= clientBuffer) needed = Math.min(needed, seq + 1);
    }
    this.history.trim(Date.now(), needed - 1);
  }

  /** The channel has no clients: it closes after a time, or at once if it is retired. */
  #startLinger(): void {
    if (this.#isClosed) return;
    if (this.#isRetired) this.close();
    else this.#linger.start(this.#lingerMs());
  }

  #lingerMs(): number {
    const state = this.#state;
    // Until then all clients get the same refusal, and the backend is not asked.
    if (state.is === "failed") return Math.max(0, state.retryAt - Date.now());
    return sharedOf(this.route).linger;
  }
}
