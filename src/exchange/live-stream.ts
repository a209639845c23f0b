import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "./exchange.ts";

/** A stream under way, whatever carries it: what it has sent is on its exchange. */
export interface LiveStream {
  readonly exchange: Exchange;
  /** Whether it is one of several clients of one backend stream. */
  readonly isShared?: boolean;
  /** What was written for its client and waits in this process. */
  readonly pendingBytes: number;
  /**
   * Ends it between two events: now if it stands there, else when it next does. `retryMs`, if given, is the
   * reconnection time that its client is told before.
   */
  endAtBoundary(reason: EndReason, retryMs?: number): void;
  /** Breaks it off where it stands; does nothing once it is over. */
  abort(reason: EndReason): void;
}
