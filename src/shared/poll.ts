import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import { fail as failExchange, send } from "../exchange/reply.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { ChannelClient, Membership } from "./channel-client.ts";
import { eachRecipient } from "./delivery.ts";
import type { PollBodies } from "./poll-bodies.ts";
import { type Start, startFor } from "./resume.ts";
import { pollHead } from "./subscriber-head.ts";

/** A request for the events as one JSON response. */
export interface PollRequest {
  /** Bytes as latin1; empty for new events only. */
  readonly lastEventId: string;
  /** How long to wait for an event, in ms; 0 answers at once. */
  readonly waitMs: number;
  /** The open streams; the poll is among them until its response closes. */
  readonly open: Set<LiveStream>;
}

/** A polling client of a channel: it gets one response, from the same history as the streams. */
export class Poll implements ChannelClient, LiveStream {
  readonly exchange: Exchange;
  readonly isShared = true;
  /** A poll's response is complete whenever it ends, and the client asks again. */
  readonly reconnects = true;
  /** Its response is written and ended in one call. */
  readonly pendingBytes = 0;
  readonly deadline = Number.POSITIVE_INFINITY;
  readonly #response: ClientResponse;
  readonly #channel: Membership & { readonly pollBodies: PollBodies };
  readonly #request: PollRequest;
  #seq = Number.POSITIVE_INFINITY;
  #isGap = false;
  #resumedFrom: string | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    exchange: Exchange,
    response: ClientResponse,
    channel: Membership & { readonly pollBodies: PollBodies },
    request: PollRequest,
  ) {
    this.exchange = exchange;
    this.#response = response;
    this.#channel = channel;
    this.#request = request;
    request.open.add(this);
    response.onClose(() => {
      request.open.delete(this);
      this.#leave();
    });
  }

  get lastEventId(): string {
    return this.#request.lastEventId;
  }

  get seq(): number {
    return this.#seq;
  }

  get takenBytes(): number {
    return this.#response.takenBytes;
  }

  begin(): void {
    const { history } = this.#channel;
    const start = startFor(history, this.#request.lastEventId);
    this.#seq = start.seq;
    this.#isGap = start.isGap;
    this.#resumedFrom = start.resumedFrom;
    // A gap is reported at once: until then the client would keep an id that finds nothing.
    if (history.lastSeq > this.#seq || this.#isGap || this.#request.waitMs === 0) this.#answer();
    else this.#timer = setTimeout(() => eachRecipient([this], () => this.#answer()), this.#request.waitMs);
  }

  move({ seq, isGap, resumedFrom }: Start): void {
    this.#seq = seq;
    this.#isGap ||= isGap;
    if (!isGap) return;
    this.#resumedFrom = resumedFrom;
    this.#answer();
  }

  advance(): void {
    if (this.#channel.history.lastSeq > this.#seq) this.#answer();
  }

  finish(): void {
    this.#answer();
  }

  dismiss(): void {
    const { history } = this.#channel;
    const { lastEventId } = this.#request;
    if (lastEventId !== "" && startFor(history, lastEventId).seq < history.lastSeq) {
      this.begin();
    } else if (this.#leave()) {
      send(this.exchange, this.#response, { status: 204, fields: this.exchange.ownFields, body: "" });
    }
  }

  refuse(error: ProxyError): void {
    if (this.#leave()) failExchange(this.exchange, this.#response, error);
  }

  /** The history can still be read, so a broken stream is no failure of this response. */
  abort(_reason: EndReason): void {
    this.endAtBoundary();
  }

  fail(error: unknown): void {
    this.#leave();
    failExchange(this.exchange, this.#response, error);
  }

  endAtBoundary(): void {
    if (this.#seq === Number.POSITIVE_INFINITY) this.refuse(new ProxyError("closing", "not open yet"));
    else this.#answer();
  }

  /** Never called: a poll has no deadline. */
  expire(): void {}

  /** A response in one piece needs no heartbeat. */
  beat(): void {}

  setRetry(): void {}

  #answer(): void {
    if (!this.#leave()) return;
    const { pollBodies, route } = this.#channel;
    const body = Buffer.from(pollBodies.after(this.#seq, this.#isGap));
    this.#channel.scheduleRelease();
    const head = pollHead(this.exchange, route, this.#resumedFrom);
    head.fields.push("Content-Length", String(body.length));
    this.#response.writeHead(head.status, head.reason, head.fields);
    this.exchange.account.headSent(head.status);
    this.exchange.account.addBytes(body.length);
    this.#response.end(body);
  }

  /** Leaves the channel; returns false if it had left before. */
  #leave(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#channel.leave(this);
    return true;
  }
}
