import { ProxyError } from "../base/errors.ts";
import { jitter } from "../base/jitter.ts";
import type { EndReason } from "../base/outcome.ts";
import { ownText } from "../base/own-text.ts";
import type { Account } from "../exchange/account.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import { fail as failExchange, send } from "../exchange/reply.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { SharedBytes } from "../http/shared-bytes.ts";
import { type AddedLines, hasLatePrelude, takesHeartbeats } from "../stream/opening.ts";
import { abortDelivered, StallTimer } from "../stream/stall-timer.ts";
import type { Preluded } from "./beats.ts";
import type { ChannelClient, Membership } from "./channel-client.ts";
import type { Start } from "./resume.ts";
import { openingOf } from "./subscriber-head.ts";

export interface SubscriberOptions {
  /** Bytes as latin1; empty for none. */
  readonly lastEventId: string;
  /** The open streams; the client's is among them until its response closes. */
  readonly open: Set<LiveStream>;
}

/**
 * A streaming client of a channel: a position in the channel's history, and a response.
 *
 * Replay and live delivery are the same step from that position to the newest event, so no event can be lost or come
 * twice where live events follow replayed ones. A client with pending bytes keeps its position and costs no further
 * memory; it is ended when it is `stream.clientBuffer` behind.
 */
export class Subscriber implements ChannelClient, LiveStream, Preluded {
  readonly exchange: Exchange;
  readonly isShared = true;
  readonly reconnects: boolean;
  readonly deadline: number;
  /** The exchange's; a field of its own because each batch is noted in it. */
  readonly #account: Account;
  readonly #response: ClientResponse;
  readonly #channel: Membership;
  readonly #added: AddedLines;
  readonly lastEventId: string;
  /** All events up to this position have been written to the response. */
  #seq = 0;
  /** The newest position when it joined: a client that replays the history is not slow. */
  #joinedSeq = 0;
  #hasBegun = false;
  #isOver = false;
  #isBlocked = false;
  /** Whether it waits for `drain`: from the first time that it is behind, since most clients never are. */
  #awaitsDrain = false;
  /** Set if it is to end, or to be aborted, after all events have been written. */
  #ending: { readonly reason: EndReason; readonly error?: ProxyError } | undefined;

  constructor(
    exchange: Exchange,
    response: ClientResponse,
    channel: Membership,
    { lastEventId, open }: SubscriberOptions,
  ) {
    this.exchange = exchange;
    this.reconnects = channel.terms.isReconnecting(exchange);
    this.#account = exchange.account;
    this.#response = response;
    this.#channel = channel;
    this.#added = channel.terms.addedLines(exchange);
    this.lastEventId = ownText(lastEventId);
    this.deadline = deadlineOf(exchange, channel.route.config.stream.maxDuration);
    open.add(this);
    response.onClose(() => {
      open.delete(this);
      this.#leave();
    });
  }

  get seq(): number {
    return this.#seq;
  }

  /** Bytes of its response that the kernel has taken. */
  get takenBytes(): number {
    return this.#response.takenBytes;
  }

  get pendingBytes(): number {
    return this.#response.pendingBytes;
  }

  begin(): void {
    if (this.#isOver || this.#hasBegun) return;
    this.#hasBegun = true;
    const { history, route, retryMs, terms } = this.#channel;
    const start = terms.startFor(this.lastEventId);
    this.#seq = start.seq;
    this.#joinedSeq = history.lastSeq;
    const { exchange } = this;
    const head = terms.headFor(exchange, start);
    this.#response.writeHead(head.status, head.reason, head.fields);
    exchange.account.headSent(head.status);
    exchange.streamOpened();
    const gap = start.isGap ? terms.gapFor(start, this.lastEventId) : undefined;
    const opening = openingOf(route, this.#added, { retryMs, first: gap?.block ?? start.rest });
    if (opening === undefined) this.#response.flushHead();
    else this.#write(opening);
    if (gap?.ends === true) this.#end("completed");
    else this.advance();
    const isSilent = !this.#isOver && this.#account.bytesSent === 0;
    if (isSilent && hasLatePrelude(route.config.stream, this.#added)) this.#channel.beats.awaitPrelude(this);
  }

  move(start: Start, lastEventId: string): void {
    if (this.#isOver) return;
    this.#seq = start.seq;
    this.#joinedSeq = this.#channel.history.lastSeq;
    if (!start.isGap) return;
    const gap = this.#channel.terms.gapFor(start, lastEventId);
    this.#write(new SharedBytes(gap.block));
    if (gap.ends) this.#end("completed");
  }

  advance(): void {
    const { history, terms } = this.#channel;
    if (this.#isBlocked) return void this.#checkLag();
    while (this.#seq < history.lastSeq && !this.#isOver) {
      const batch = history.batchAfter(this.#seq);
      // The next event was evicted before this client took it.
      if (batch === undefined) return void this.abort("slow_client");
      this.#seq = batch.to;
      this.#account.addEvents(terms.eventsIn(batch));
      if (!this.#write(batch.bytes)) return;
    }
    const ending = this.#ending;
    if (ending?.error !== undefined) this.abort(ending.reason, ending.error);
    else if (ending !== undefined) this.#end(ending.reason);
  }

  beat(): void {
    const { beats, route } = this.#channel;
    const { heartbeat } = route.config.stream;
    // With bytes pending, a heartbeat would only queue behind them.
    if (!this.#hasBegun || this.#isBlocked || this.#response.pendingBytes > 0) return;
    if (heartbeat !== undefined && takesHeartbeats(heartbeat, this.#added)) this.#write(beats.heartbeat);
  }

  prelude(): void {
    if (!this.#isOver && this.#account.bytesSent === 0) this.#write(this.#channel.beats.prelude);
  }

  setRetry(retryMs: number): void {
    if (this.#channel.route.config.stream.retry !== null || this.#isBlocked) return;
    this.#write(new SharedBytes(Buffer.from(`retry: ${retryMs}\n\n`)));
  }

  finish(reason: EndReason, error?: ProxyError): void {
    this.#ending ??= { reason, ...(error !== undefined && { error }) };
    this.advance();
  }

  /** Ends now: batches end at event boundaries, so the stream is always at one. */
  endAtBoundary(reason: EndReason, retryMs?: number): void {
    if (!this.#hasBegun) return void this.#turnAway();
    if (this.#isOver) return;
    if (!this.reconnects) return void this.abort(reason);
    if (retryMs !== undefined) this.#write(new SharedBytes(Buffer.from(`retry: ${retryMs}\n\n`)));
    this.#end(reason);
  }

  expire(): void {
    const { expiresAt = Number.POSITIVE_INFINITY } = this.exchange.principal ?? {};
    this.endAtBoundary(Date.now() >= expiresAt ? "auth_expired" : "max_duration");
  }

  refuse(error: ProxyError): void {
    if (this.#isOver) return;
    this.#leave();
    failExchange(this.exchange, this.#response, error);
  }

  dismiss(): void {
    if (this.#isOver || this.#hasBegun) return;
    const { history } = this.#channel;
    const { seq } = this.#channel.terms.startFor(this.lastEventId);
    if (this.lastEventId !== "" && seq < history.lastSeq) {
      this.begin();
      return void this.finish("backend_ended");
    }
    this.#leave();
    send(this.exchange, this.#response, { status: 204, fields: this.exchange.ownFields, body: "" });
  }

  abort(reason: EndReason, error?: unknown): void {
    if (this.#isOver) return;
    if (!this.#hasBegun) return void this.#turnAway();
    this.#leave();
    this.#account.endsWith(reason);
    this.#account.noteError(error);
    const { sendTimeout } = this.#channel.route.config.stream;
    if (reason === "backend_failed") abortDelivered(this.#response, { owner: this.exchange, sendTimeout });
    else this.#response.breakOff();
  }

  fail(error: unknown): void {
    this.#leave();
    failExchange(this.exchange, this.#response, error);
  }

  /** Writes, and returns whether the response takes more. */
  #write(bytes: SharedBytes): boolean {
    this.#account.addBytes(bytes.plain.length);
    if (this.#response.writeShared(bytes)) {
      if (this.#response.pendingBytes > 0) this.#channel.untaken.add(this);
      return true;
    }
    this.#isBlocked = true;
    this.#channel.blocked(this, true);
    if (!this.#awaitsDrain) this.#response.onDrain(() => this.#onDrain());
    this.#awaitsDrain = true;
    return false;
  }

  #onDrain(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    if (this.#isOver) return;
    this.#channel.blocked(this, false);
    this.advance();
    this.#channel.scheduleRelease();
  }

  #checkLag(): void {
    const { history, route, terms } = this.#channel;
    const behind = history.bytesAfter(Math.max(this.#seq, this.#joinedSeq));
    if (behind > route.config.stream.clientBuffer && !terms.waitsFor(this)) this.abort("slow_client");
  }

  #end(reason: EndReason): void {
    if (this.#isOver) return;
    this.#leave();
    this.#account.endsWith(reason);
    const response = this.#response;
    response.end();
    const { sendTimeout } = this.#channel.route.config.stream;
    if (response.isClosed || response.pendingBytes === 0) return;
    const owner = this.exchange;
    const onStall = () => {
      this.#account.endNotTaken("slow_client");
      response.breakOff();
    };
    const stall = new StallTimer(response, { sendTimeout, owner, onStall });
    response.onClose(() => stall.clear());
    stall.start();
  }

  /** Refuses a client that waits for a stream that this process will not open. */
  #turnAway(): void {
    this.refuse(new ProxyError("closing", "the stream was not open yet"));
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#channel.leave(this);
  }
}

/**
 * Returns the latest end of a client's stream, in ms since the Unix epoch. `maxDuration` is shortened at random, so that
 * streams that began together do not end together.
 */
function deadlineOf({ principal }: Exchange, maxDuration: number | undefined): number {
  const longest = maxDuration === undefined ? Number.POSITIVE_INFINITY : Date.now() + jitter(maxDuration);
  return Math.min(longest, principal?.expiresAt ?? Number.POSITIVE_INFINITY);
}
