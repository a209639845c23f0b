import type { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Expiring } from "./deadlines.ts";
import type { Recipient } from "./delivery.ts";
import type { History } from "./history.ts";
import type { Start } from "./resume.ts";
import type { SharedRoute } from "./shared-route.ts";

/** Somebody who asked for a channel's stream, however the answer is given. */
export interface ChannelClient extends Recipient, Expiring {
  /** The id of the last event that it had before it came; bytes as latin1, empty for none. */
  readonly lastEventId: string;
  /** The position up to which it has been given everything. */
  readonly seq: number;
  /** Bytes of its answer that the kernel has taken. */
  readonly takenBytes: number;
  /** The stream is there, from now on. One of `begin`, `refuse` and `dismiss` is called, once, unless it leaves. */
  begin(): void;
  /** Another record stands in place of the one it was given events of. Called after `begin`. */
  move(start: Start, lastEventId: string): void;
  /** There is no stream. */
  refuse(error: ProxyError): void;
  /** The stream is over: it is given what is kept of it, if it came for that, or 204. */
  dismiss(): void;
  /** It went no further than the history does. Called after `begin`. */
  finish(reason: EndReason): void;
  /** It broke: what was sent is not all. */
  abort(reason: EndReason, error?: unknown): void;
  /** The answer ends now, between two events; who has not begun is turned away. */
  endAtBoundary(reason: EndReason): void;
  /** The stream was silent for `stream.heartbeat`. */
  beat(): void;
  /** The backend has set a reconnection time. */
  setRetry(retryMs: number): void;
}

/** What a client needs of the channel it is on. */
export interface Membership {
  readonly history: History;
  readonly route: SharedRoute;
  /** The reconnection time that the backend has set. */
  readonly retryMs: number | undefined;
  /** The client is gone, for whatever reason. */
  leave(client: ChannelClient): void;
  /** It does not take what it was given; or it does again. */
  blocked(client: ChannelClient, isBlocked: boolean): void;
  /** Buffers were joined outside of a delivery. */
  scheduleRelease(): void;
}
