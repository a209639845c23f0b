import type { ProxyError } from "../base/errors.ts";
import { SILENCE_HINT, SILENCE_HINT_MS } from "../stream/silence-hint.ts";
import { BackendEventReader, type ReceivedDrafts } from "./backend-event-reader.ts";
import { BackendLink, type DialStream, type LinkListener } from "./backend-link.ts";
import type { History } from "./history.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import type { ChannelStore } from "./store.ts";

interface ChannelBackendOptions {
  readonly route: SharedRoute;
  readonly history: History;
  /** Receives the backend's events and its state. */
  readonly store: ChannelStore;
  readonly dial: DialStream;
  /** Returns the stream's current reconnection time, in ms. */
  retryMs(): number | undefined;
  log(level: "info" | "warn", facts: Record<string, unknown>, message: string): void;
  onFault(error: unknown): void;
}

/** The backend's side of a channel while this process leads: it puts the backend's events and state into the store. */
export class ChannelBackend implements LinkListener {
  readonly #options: ChannelBackendOptions;
  readonly #reader: BackendEventReader;
  readonly #link: BackendLink;
  #hasHinted = false;

  constructor(options: ChannelBackendOptions) {
    this.#options = options;
    const { route, history, dial, log, onFault } = options;
    const config = sharedOf(route);
    this.#reader = new BackendEventReader({
      config,
      history,
      onReusedId: (id) => log("warn", { id }, "event id was used again for another event"),
    });
    const idleMs = route.config.stream.idleTimeout;
    this.#link = new BackendLink(
      { redial: config.redial, idleMs, reader: this.#reader, dial, onFault },
      this,
    );
  }

  /** Whether it has a backend connection or dials. */
  get holdsFile(): boolean {
    return this.#link.holdsFile;
  }

  /** Asks the backend, from the newest held event on; `isOpen`: clients have an open stream that waits for this. */
  start(isOpen: boolean): void {
    const { history } = this.#options;
    const last = history.at(history.lastSeq);
    this.#link.start(last?.backendId ?? "", isOpen);
  }

  stop(): void {
    this.#link.stop();
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  /** Called when the channel's clients get a heartbeat: hints in the log, once, that the backend may be frozen. */
  noteHeartbeat(clients: number): void {
    const { route, log } = this.#options;
    const isBounded = route.config.stream.idleTimeout !== undefined;
    if (clients === 0 || this.#hasHinted || isBounded || this.#link.silentMs < SILENCE_HINT_MS) return;
    this.#hasHinted = true;
    log("warn", {}, SILENCE_HINT);
  }

  onStream(isFirst: boolean): void {
    const { store, log, retryMs } = this.#options;
    log("info", { isFirst }, "shared stream opened");
    // Without an id to resume from, events may have been lost since the last connection.
    if (!isFirst && this.#reader.lastBackendId === "") store.append([this.#reader.gap()]);
    this.#announceOpen(retryMs());
  }

  onDrafts({ drafts, retryMs }: ReceivedDrafts): void {
    const { store, retryMs: known } = this.#options;
    if (drafts.length > 0) store.append(drafts);
    if (retryMs !== undefined && retryMs !== known()) this.#announceOpen(retryMs);
  }

  onEnded(): void {
    this.#options.store.announce({ is: "ended" });
  }

  onRefused(error: ProxyError, retryMs: number): void {
    const { code, status, fields, message } = error;
    this.#options.log("warn", { code, status, reason: message }, "shared stream refused");
    const retryAt = Date.now() + retryMs;
    this.#options.store.announce({ is: "failed", status, code, fields, retryAt });
  }

  onLost(error: unknown, retryMs: number): void {
    const reason = error instanceof Error ? error.message : "the backend ended it";
    this.#options.log(
      "info",
      { reason, retryMs: Math.round(retryMs) },
      "shared stream lost: the backend will be asked again",
    );
  }

  #announceOpen(retryMs: number | undefined): void {
    this.#options.store.announce({ is: "open", ...(retryMs !== undefined && { retryMs }) });
  }
}
