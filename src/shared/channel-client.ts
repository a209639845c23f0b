import type { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { AddedLines } from "../stream/opening.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import type { Batch } from "./batch.ts";
import type { Beats } from "./beats.ts";
import type { Expiring } from "./deadlines.ts";
import type { Recipient } from "./delivery.ts";
import type { History } from "./history.ts";
import type { Start } from "./resume.ts";

/** A client of a channel, streaming or polling. */
export interface ChannelClient extends Recipient, Expiring {
  /** The last event id of its request; bytes as latin1, empty for none. */
  readonly lastEventId: string;
  /** The position up to which it has been given all events. */
  readonly seq: number;
  /** Bytes of its response that the kernel has taken. */
  readonly takenBytes: number;
  /** Bytes of its response that the kernel has not taken. */
  readonly pendingBytes: number;
  /** The stream is open. Exactly one of `begin`, `refuse` and `dismiss` is called, once, unless the client leaves first. */
  begin(): void;
  /** The record was replaced. Called only after `begin`. */
  move(start: Start, lastEventId: string): void;
  /** The stream could not be opened. */
  refuse(error: ProxyError): void;
  /** The stream has ended for good: a client that resumes gets the kept events, any other 204. */
  dismiss(): void;
  /**
   * The stream has ended: the client ends after the last event of the history; with an error it is aborted there,
   * because its response is incomplete. Called only after `begin`.
   */
  finish(reason: EndReason, error?: ProxyError): void;
  /** The stream has failed: the client is aborted, because its response is incomplete. */
  abort(reason: EndReason, error?: unknown): void;
  /**
   * Ends the response now, at an event boundary; aborts it if the client would not reconnect, and refuses a client that
   * has not begun.
   */
  endAtBoundary(reason: EndReason): void;
  /** The stream was silent for `stream.heartbeat`. */
  beat(): void;
  /** The backend has set a reconnection time. */
  setRetry(retryMs: number): void;
}

/** The differences between clients of a shared stream and of a named answer. */
export interface ClientTerms {
  /** Whether the client reconnects after an early end (`LiveStream.reconnects`). */
  isReconnecting(exchange: Exchange): boolean;
  /** The lines that may be added to the client's stream. */
  addedLines(exchange: Exchange): AddedLines;
  startFor(lastEventId: string): Start;
  headFor(exchange: Exchange, start: Start): ResponseHead;
  /** The gap event for a client that has missed events, and whether its stream ends with it. */
  gapFor(start: Start, lastEventId: string): { readonly block: Buffer; readonly ends: boolean };
  /** The number of events in a batch, for logs and metrics. */
  eventsIn(batch: Batch): number;
  /** Whether the backend waits for this client, so that it cannot fall further behind. */
  waitsFor(client: ChannelClient): boolean;
}

/** A channel, as its clients see it. */
export interface Membership {
  readonly history: History;
  readonly route: Route;
  readonly terms: ClientTerms;
  /** Heartbeats and the prelude. */
  readonly beats: Beats;
  /** The reconnection time that the backend has set, in ms. */
  readonly retryMs: number | undefined;
  /** The client has left or ended. */
  leave(client: ChannelClient): void;
  /** The client has pending bytes and takes no more, or takes bytes again. */
  blocked(client: ChannelClient, isBlocked: boolean): void;
  /**
   * The clients with pending bytes that take more all the same: HTTP/2 accepts 16 KiB beyond the client's window, which a
   * client may never open.
   */
  readonly untaken: { add(client: ChannelClient): void };
  /** The client used batches outside of a delivery, so they have to be released. */
  scheduleRelease(): void;
}
