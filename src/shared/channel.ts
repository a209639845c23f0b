import type { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Log } from "../observe/log.ts";
import type { Departure } from "../pipeline/client-response.ts";
import type { Source } from "../upstream/source.ts";
import { BackendLink, type LinkListener } from "./backend-link.ts";
import type { ChannelClient, Membership } from "./channel-client.ts";
import { Deadlines } from "./deadlines.ts";
import { Delivery } from "./delivery.ts";
import { failureOf } from "./failure.ts";
import { isGap } from "./gap.ts";
import type { History } from "./history.ts";
import { Intake, type Taken } from "./intake.ts";
import { PollAnswers } from "./poll-answer.ts";
import { replaceRecord } from "./resume.ts";
import { Seeker } from "./seeker.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import { StallWatch } from "./stall-watch.ts";
import type { BackendState, ChannelFeed, ChannelStore, StoredEvent, StreamRecord } from "./store.ts";

/** What waits to be delivered before the backend is no longer read: it outruns the loop over the clients. */
const MAX_PENDING_BYTES = 1024 * 1024;

export interface ChannelOptions {
  /** A name that shows nothing of its key, for logs. */
  readonly name: string;
  readonly route: SharedRoute;
  readonly history: History;
  readonly store: ChannelStore;
  readonly log: Log;
  dial(lastEventId: string, asker: Departure): Promise<Source>;
  /** It has closed by itself, and takes nobody any more. */
  onClosed(channel: Channel): void;
}

/**
 * One stream for any number of clients: one backend request, what was kept of it, and who takes it.
 *
 * The backend's blocks go into the store, and what comes out of the store goes to the clients; so this process
 * may be the one that asks the backend, or another may be, and the clients cannot tell.
 */
export class Channel implements ChannelFeed, LinkListener, Membership {
  readonly name: string;
  readonly route: SharedRoute;
  readonly history: History;
  readonly answers: PollAnswers;
  readonly #options: ChannelOptions;
  readonly #store: ChannelStore;
  readonly #link: BackendLink;
  readonly #intake: Intake;
  readonly #delivery: Delivery;
  readonly #seeker: Seeker;
  readonly #stalls: StallWatch;
  readonly #deadlines = new Deadlines();
  /** Those who wait for the stream to be there. */
  readonly #waiting = new Set<ChannelClient>();
  readonly #clients = new Set<ChannelClient>();
  #state: BackendState = { is: "connecting" };
  #isClosed = false;
  #isRetired = false;
  readonly #openedAt = performance.now();
  #heartbeat: NodeJS.Timeout | undefined;
  /** Until it closes, since nobody is on it. */
  #closing: NodeJS.Timeout | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.name = options.name;
    this.route = options.route;
    this.history = options.history;
    this.answers = new PollAnswers(this.history);
    this.#store = options.store;
    this.#seeker = new Seeker(this.history, this.#store);
    const config = sharedOf(this.route);
    const { sendTimeout, idleTimeout, heartbeat } = this.route.config.stream;
    this.#intake = new Intake({
      config,
      history: this.history,
      onReusedId: (id) => this.#log("warn", { id }, "event id came again with another event"),
    });
    this.#link = new BackendLink(
      { redial: config.redial, idleMs: idleTimeout, intake: this.#intake, dial: options.dial },
      this,
    );
    this.#delivery = new Delivery(this.history, this.#clients, () => this.#afterPass());
    this.#stalls = new StallWatch(sendTimeout);
    if (heartbeat !== undefined) this.#heartbeat = setTimeout(() => this.#beat(), heartbeat);
    this.#store.start(this);
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
    clearTimeout(this.#closing);
    this.#closing = undefined;
    this.history.touch();
    this.#trim();
    this.#waiting.add(client);
    this.#answer(client);
  }

  leave(client: ChannelClient): void {
    this.#waiting.delete(client);
    this.#clients.delete(client);
    this.#stalls.delete(client);
    this.#deadlines.delete(client);
    if (this.size === 0) this.#linger();
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
    for (const client of [...this.#waiting, ...this.#clients]) client.endAtBorder(reason);
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#closing);
    this.#delivery.stop();
    this.#link.stop();
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
    if (this.#delivery.pendingBytes > MAX_PENDING_BYTES) this.#link.pause();
    if (sharedOf(this.route).onGap === "close" && events.some(({ block }) => isGap(block))) {
      this.#endAll("completed");
    }
  }

  onState(state: BackendState): void {
    const before = this.#state;
    this.#state = state;
    if (state.is === "connecting") return;
    if (state.is === "open" && before.is === "open") {
      const { retryMs } = state;
      if (retryMs === undefined || retryMs === before.retryMs) return;
      for (const client of this.#clients) client.setRetry(retryMs);
      return;
    }
    if (state.is === "ended") this.#endAll("backend_ended");
    if (state.is === "failed") this.#breakAll(state);
    for (const client of [...this.#waiting]) this.#answer(client);
    if (this.size === 0) this.#linger();
  }

  onLead(): void {
    const last = this.history.at(this.history.lastSeq);
    this.#link.start(last?.backendId ?? "", this.#state.is === "open");
  }

  onFollow(): void {
    this.#link.stop();
  }

  onDegraded(isDegraded: boolean): void {
    this.#log("warn", { isDegraded }, "shared stream's record");
  }

  held(afterSeq: number): readonly StoredEvent[] {
    return this.history.after(afterSeq);
  }

  // What the backend's link tells.

  onStream(isFirst: boolean): void {
    this.#log("info", { isFirst }, "shared stream opened");
    // Without an id to resume from, nobody knows what was sent while nobody listened.
    if (!isFirst && this.#intake.lastBackendId === "") this.#store.append([this.#intake.gap()]);
    this.#announceOpen(this.retryMs);
  }

  onTaken({ drafts, retryMs }: Taken): void {
    if (drafts.length > 0) this.#store.append(drafts);
    if (retryMs !== undefined && retryMs !== this.retryMs) this.#announceOpen(retryMs);
  }

  onEnded(): void {
    this.#store.announce({ is: "ended" });
  }

  onRefused(error: ProxyError, retryMs: number): void {
    const { code, status, fields, message } = error;
    this.#log("warn", { code, status, reason: message }, "shared stream refused");
    const retryAt = Date.now() + retryMs;
    this.#store.announce({ is: "failed", status, code, fields, retryAt });
  }

  onLost(error: unknown, retryMs: number): void {
    const reason = error instanceof Error ? error.message : "the backend ended it";
    this.#log("info", { reason, retryMs: Math.round(retryMs) }, "shared stream is asked for again");
  }

  #announceOpen(retryMs: number | undefined): void {
    this.#store.announce({ is: "open", ...(retryMs !== undefined && { retryMs }) });
  }

  /** Tells one that waits how the stream stands. */
  #answer(client: ChannelClient, isSought = false): void {
    const state = this.#state;
    if (state.is === "connecting" || !this.#waiting.has(client)) return;
    if (!isSought && this.#seeker.seek(client, () => this.#answer(client, true))) return;
    this.#waiting.delete(client);
    if (state.is === "failed") return void client.refuse(failureOf(state));
    this.#clients.add(client);
    if (state.is === "ended") return void client.dismiss();
    this.#deadlines.add(client);
    client.begin();
    this.scheduleRelease();
  }

  /** Everybody has what there was, and there will be no more. */
  #endAll(reason: EndReason): void {
    this.#delivery.flush();
    for (const client of [...this.#clients]) client.finish(reason);
  }

  #breakAll(state: Extract<BackendState, { is: "failed" }>): void {
    this.#delivery.flush();
    for (const client of [...this.#clients]) client.abort("backend_failed", failureOf(state));
  }

  #beat(): void {
    for (const client of this.#clients) client.beat();
    if (this.#clients.size > 0) this.history.touch();
    this.#trim();
    this.#heartbeat?.refresh();
  }

  #afterPass(): void {
    this.answers.release();
    this.#trim();
    this.#link.resume();
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
  #linger(): void {
    if (this.#isClosed || this.#closing !== undefined) return;
    if (this.#isRetired) return void this.close();
    this.#closing = setTimeout(() => this.close(), this.#lingerMs());
  }

  #lingerMs(): number {
    const state = this.#state;
    // Until then everybody gets the same answer, and the backend is left alone.
    if (state.is === "failed") return Math.max(0, state.retryAt - Date.now());
    return sharedOf(this.route).linger;
  }

  #log(level: "info" | "warn", facts: Record<string, unknown>, message: string): void {
    const { config, stage } = this.route;
    const durationMs = Math.round(performance.now() - this.#openedAt);
    const own = { route: config.name, stage, channel: this.name, clients: this.size, durationMs };
    this.#options.log[level]({ ...own, ...facts }, message);
  }
}
