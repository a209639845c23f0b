import { performance } from "node:perf_hooks";
import { DueTimer } from "../base/due-timer.ts";
import type { EndReason } from "../base/outcome.ts";
import type { StreamConfig } from "../config/route-schema.ts";
import type { Sent } from "../exchange/account.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { isReconnecting, type LiveStream } from "../exchange/live-stream.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { contentCoding } from "../http/content-coding.ts";
import { pairs } from "../http/fields.ts";
import type { BorrowedBytes, Sink, Source } from "../http/source.ts";
import { responseTrailers } from "../http/trailers.ts";
import { Boundary } from "../sse/boundary.ts";
import { ByteOrderMark } from "../sse/byte-order-mark.ts";
import { ClientWriter } from "./client-writer.ts";
import { EndTimers } from "./end-timers.ts";
import { Heartbeat, type HeartbeatTarget } from "./heartbeat.ts";
import {
  type AddedLines,
  addedLines,
  COMMENT_LINE,
  hasLatePrelude,
  heartbeatBytes,
  openingLines,
  PRELUDE_DELAY_MS,
  takesHeartbeats,
} from "./opening.ts";
import { isEventStream, streamHead } from "./response-head.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Relays one backend's event stream to one client.
 *
 * Every byte is written in the turn of the event loop in which it was read, or decoded. Comment lines are added only at
 * event boundaries. Everything else is done by timers.
 */
export class Relay implements Sink, LiveStream, Sent, HeartbeatTarget {
  // The fields that every event needs come first: with thousands of streams each further cache line is a cache miss.
  bytesSent = 0;
  /** When the backend last sent something, by `performance.now()`; in whole ms, as V8 allocates an object for a fraction. */
  trafficAt = 0;
  readonly #response: ClientResponse;

  #isOver = false;
  /** Whether the body is a text/event-stream without a content coding, so that event boundaries can be found. */
  readonly #hasBoundaries: boolean;
  readonly #boundary = new Boundary();
  #idle: DueTimer | undefined;
  #mark: ByteOrderMark | undefined;
  /** The bytes to send with the head, before the first event; undefined once sent. */
  #opening: Buffer | undefined = NOTHING;
  /** Set if the stream is to end at its next boundary. */
  #endAtBoundary: { readonly reason: EndReason; readonly retryMs: number | undefined } | undefined;

  readonly exchange: Exchange;
  readonly reconnects: boolean;
  readonly #backend: Source;
  readonly #config: StreamConfig;
  readonly #added: AddedLines;
  readonly #writer: ClientWriter;
  #heartbeat: Heartbeat | undefined;
  /** Whether the backend is paused because the client's buffer is full. */
  #isPaused = false;
  #prelude: NodeJS.Timeout | undefined;
  #endTimers: EndTimers | undefined;

  constructor(exchange: Exchange, response: ClientResponse, backend: Source, route: Route) {
    this.exchange = exchange;
    this.#response = response;
    this.#backend = backend;
    this.#config = route.config.stream;
    this.#added = addedLines(this.#config, exchange.request.rawHeaders);
    this.#writer = new ClientWriter(exchange, response, this.#config);
    const hasEvents = isEventStream(backend.head);
    this.reconnects = hasEvents && isReconnecting(exchange);
    const coding = hasEvents ? contentCoding(backend.head.rawHeaders) : undefined;
    this.#hasBoundaries = hasEvents && coding === undefined;
    if (coding !== undefined) {
      exchange.log.warn(
        { reqId: exchange.id, ...exchange.attemptTrace?.ids, route: route.config.name, coding },
        "the stream's content coding cannot be decoded: no comment lines are added",
      );
    }
    this.#writer.head(streamHead(exchange, backend.head, route));
    exchange.account.countedBy(this);
  }

  /** Sends the head and starts to relay; the stream is among `open` until its client's response closes. */
  start(open: Set<LiveStream>): void {
    this.#startTimers();
    if (!this.#response.isClosed) open.add(this);
    this.#response.onClose(() => {
      open.delete(this);
      this.#onClientClose();
    });
    if (this.#hasBoundaries) this.#prepareOpening();
    this.#backend.start(this);
    this.#open();
  }

  #prepareOpening(): void {
    const opening = openingLines(this.#config, this.#added);
    if (opening !== "") {
      this.#mark = new ByteOrderMark();
      this.#opening = Buffer.from(opening);
    } else if (hasLatePrelude(this.#config, this.#added)) {
      this.#prelude = setTimeout(
        this.exchange.guarded(() => this.#sendPrelude()),
        PRELUDE_DELAY_MS,
      );
    }
  }

  get events(): number | undefined {
    return this.#hasBoundaries ? this.#boundary.events : undefined;
  }

  get pendingBytes(): number {
    return this.#response.pendingBytes;
  }

  /**
   * Ends the stream at an event boundary: now if it is at a boundary, else at the next. A stream whose boundaries are
   * unknown, or whose client does not reconnect, is aborted, because a clean end would mark it as complete. `retryMs` is
   * a reconnection time to send before the end.
   */
  endAtBoundary(reason: EndReason, retryMs?: number): void {
    if (!this.#hasBoundaries || !this.reconnects) this.abort(reason);
    else if (this.#boundary.isAtBoundary) this.#end(reason, retryMs);
    else this.#endAtBoundary = { reason, retryMs };
  }

  /** Aborts the stream at once, even inside an event. */
  abort(reason: EndReason, error?: unknown): void {
    if (!this.#finish()) return;
    this.#writer.abort(reason, error);
    this.#backend.cancel();
  }

  /** Sends the head and the opening lines, unless they were sent with a first event. */
  #open(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening === NOTHING) this.#writer.flush();
    else if (opening !== undefined) this.#write(opening);
  }

  #startTimers(): void {
    const { heartbeat, idleTimeout, maxDuration } = this.#config;
    this.trafficAt = Math.trunc(performance.now());
    if (heartbeat !== undefined && this.#hasBoundaries && takesHeartbeats(heartbeat, this.#added))
      this.#heartbeat = new Heartbeat(heartbeat.every, this);
    if (idleTimeout !== undefined)
      this.#idle = new DueTimer(
        idleTimeout,
        this.exchange.guarded(() => this.#onIdle()),
      );
    this.#endTimers = EndTimers.for(this, maxDuration);
  }

  /** Writes a heartbeat if the stream is at an event boundary. */
  beat(): void {
    const { heartbeat } = this.#config;
    if (heartbeat !== undefined) this.#add(heartbeatBytes(heartbeat));
  }

  #sendPrelude(): void {
    this.#prelude = undefined;
    if (this.bytesSent === 0) this.#add(COMMENT_LINE);
  }

  #add(lines: Buffer): void {
    if (!this.#boundary.isAtBoundary) return;
    // With bytes pending, the lines would only queue behind them.
    if (this.#writer.isBehind) return;
    if (this.bytesSent === 0) this.#mark = new ByteOrderMark();
    this.#write(lines);
  }

  fault(error: unknown): void {
    this.exchange.fault(error);
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    if (this.#isOver) return;
    this.#idle?.refresh();
    if (this.#response.isClosed) return;
    this.trafficAt = Math.trunc(performance.now());
    if (this.#mark === undefined) this.#relay(bytes, start, end);
    else this.#relayBehindMark(this.#mark, bytes.subarray(start, end));
  }

  /** Relays the start of a stream, where a byte order mark has to be removed. */
  #relayBehindMark(mark: ByteOrderMark, received: Buffer): void {
    const part = mark.strip(received);
    if (mark.isOver) this.#mark = undefined;
    this.#relay(part, 0, part.length);
  }

  #relay(bytes: Buffer, start: number, end: number): void {
    const stop = this.#hasBoundaries ? this.#scan(bytes, start, end) : end;
    const isTaken = stop === start || this.#write(bytes, start, stop);
    if (this.#endAtBoundary !== undefined && this.#boundary.isAtBoundary) {
      const { reason, retryMs } = this.#endAtBoundary;
      this.#end(reason, retryMs);
    } else if (!isTaken) {
      this.#pause();
    }
  }

  #pause(): void {
    this.#isPaused = true;
    this.#backend.pause();
    this.#writer.onceDrained(() => this.#resume());
  }

  /** Returns false when the client's buffer is full. */
  #write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    if (this.#opening !== undefined) return this.#writeFirst(this.#opening, bytes.subarray(start, end));
    this.bytesSent += end - start;
    return this.#writer.write(bytes, start, end);
  }

  #writeFirst(opening: Buffer, part: Buffer): boolean {
    this.#opening = undefined;
    return this.#write(Buffer.concat([opening, part]));
  }

  #resume(): void {
    this.#isPaused = false;
    this.#idle?.refresh();
    this.#backend.resume();
  }

  /** While the backend is paused, its silence does not count; `sendTimeout` bounds the pause. */
  #onIdle(): void {
    if (this.#isPaused) this.#idle?.refresh();
    else this.abort("idle_timeout");
  }

  /** Returns the end of the bytes to send: all of them, or those up to the boundary where the stream is to end. */
  #scan(bytes: Buffer, start: number, end: number): number {
    const before = this.#boundary.events;
    const stop = this.#boundary.scan(bytes, start, end, this.#endAtBoundary !== undefined);
    if (before === 0 && this.#boundary.events > 0) this.exchange.account.firstEventSent();
    return stop;
  }

  onEnd(rawTrailers: readonly string[]): void {
    if (!this.#finish()) return;
    const rest = this.#mark?.rest();
    if (rest !== undefined && rest.length > 0) this.#write(rest);
    this.#writer.end("backend_ended", pairs(responseTrailers(rawTrailers)));
  }

  onError(error: Error): void {
    this.abort("backend_failed", error);
  }

  #end(reason: EndReason, retryMs: number | undefined): void {
    if (!this.#finish()) return;
    if (retryMs !== undefined) this.#write(Buffer.from(`retry: ${retryMs}\n\n`));
    this.#writer.end(reason);
    this.#backend.cancel();
  }

  #onClientClose(): void {
    if (this.#isOver) return;
    if (this.#config.onClientGone === "cancel") {
      this.#finish();
      this.#backend.cancel();
      return;
    }
    // `onClientGone: drain` reads the backend to its end, so that it can finish its work; the route's timers bound that.
    this.#heartbeat?.stop();
    clearTimeout(this.#prelude);
    this.#resume();
  }

  /** Stops the timers; returns false if the stream had ended before. */
  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#open();
    this.#heartbeat?.stop();
    clearTimeout(this.#prelude);
    this.#endTimers?.clear();
    this.#idle?.clear();
    return true;
  }
}
