import type { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { StreamConfig } from "../config/route-schema.ts";
import { Beats } from "../shared/beats.ts";
import type { ChannelClient } from "../shared/channel-client.ts";
import { Deadlines } from "../shared/deadlines.ts";
import { Delivery, eachRecipient } from "../shared/delivery.ts";
import type { History } from "../shared/history.ts";
import { StallWatch } from "../shared/stall-watch.ts";
import { endsBetweenEvents } from "./answer-start.ts";

/** At this many bytes of undelivered events the backend is not read: it is faster than the loop over the clients. */
const MAX_PENDING_BYTES = 1024 * 1024;

interface AnswerClientsOptions {
  readonly history: History;
  readonly stream: StreamConfig;
  /** Called when all new events were given to all clients. */
  onPass(): void;
  onFault(error: unknown): void;
}

/** The clients that read one answer, and how far the backend may be ahead of them. */
export class AnswerClients {
  readonly #history: History;
  readonly #bufferBytes: number;
  readonly #clients = new Set<ChannelClient>();
  readonly #delivery: Delivery;
  readonly #stalls: StallWatch;
  /** Watches clients with pending bytes that take more all the same. */
  readonly untaken: StallWatch;
  readonly #deadlines: Deadlines;
  readonly #options: AnswerClientsOptions;
  #beats: Beats;

  constructor(options: AnswerClientsOptions) {
    const { history, stream, onPass, onFault } = options;
    this.#options = options;
    this.#history = history;
    this.#bufferBytes = stream.clientBuffer;
    this.#beats = new Beats(undefined, () => {}, onFault);
    this.#delivery = new Delivery(history, this.#clients, onPass, onFault);
    this.#stalls = new StallWatch(stream.sendTimeout, onFault);
    this.untaken = new StallWatch(stream.sendTimeout, onFault);
    this.#deadlines = new Deadlines(onFault);
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Heartbeats and the prelude. */
  get beats(): Beats {
    return this.#beats;
  }

  /** Whether the backend must not be read: the only client is slow, as with a relay, or the events wait for a turn. */
  get isBehind(): boolean {
    const [only] = this.#clients.size === 1 ? this.#clients : [];
    if (only !== undefined && this.#history.bytesAfter(only.seq) >= this.#bufferBytes) return true;
    return this.#delivery.pendingBytes > MAX_PENDING_BYTES;
  }

  add(client: ChannelClient): void {
    this.#clients.add(client);
    this.#deadlines.add(client);
  }

  delete(client: ChannelClient): void {
    this.#clients.delete(client);
    this.#stalls.delete(client);
    this.untaken.delete(client);
    this.#deadlines.delete(client);
  }

  /** Notes that a client has pending bytes and takes no more, or takes bytes again. */
  blocked(client: ChannelClient, isBlocked: boolean): void {
    this.#stalls[isBlocked ? "add" : "delete"](client);
  }

  /** To be called when there are events to deliver or batches to release. */
  schedule(): void {
    this.#delivery.schedule();
  }

  /** Evicts the beginning beyond the bounds, except what a client that is waited for, or not far behind, needs. */
  trim(): void {
    let needed = Number.POSITIVE_INFINITY;
    for (const { seq } of this.#stalls.takers) {
      if (this.#clients.size === 1 || this.#history.bytesAfter(seq) <= this.#bufferBytes)
        needed = Math.min(needed, seq + 1);
    }
    this.#history.trim(Date.now(), needed - 1);
  }

  /** Starts the heartbeats: the answer is an event stream. */
  startBeats(): void {
    const { stream, onFault } = this.#options;
    this.#beats.stop();
    this.#beats = new Beats(stream.heartbeat, () => this.#beat(), onFault);
  }

  /** Ends all clients behind the last event; with an error, aborts them there. The answer is never silent again. */
  endAll(reason: EndReason, error?: ProxyError): void {
    this.#beats.stop();
    this.#delivery.flush();
    eachRecipient([...this.#clients], (client) => client.finish(reason, error));
  }

  /** Ends all clients now. */
  close(reason: EndReason): void {
    eachRecipient([...this.#clients], (client) => client.endAtBoundary(reason));
    this.#delivery.stop();
    this.#beats.stop();
  }

  #beat(): void {
    const last = this.#history.at(this.#history.lastSeq);
    if (last === undefined || endsBetweenEvents(last.block))
      eachRecipient(this.#clients, (client) => client.beat());
    this.#beats.restart();
  }
}
