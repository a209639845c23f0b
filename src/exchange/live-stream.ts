import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "./exchange.ts";

/** An open stream or tunnel; the bytes that it has sent are counted on its exchange. */
export interface LiveStream {
  readonly exchange: Exchange;
  /** Whether it is a subscriber of a shared stream. */
  readonly isShared?: boolean;
  /** Bytes written to its client that wait in this process. */
  readonly pendingBytes: number;
  /**
   * Ends it at an event boundary: now if it is at one, else at the next. `retryMs` is a reconnection time to send to
   * the client before.
   */
  endAtBoundary(reason: EndReason, retryMs?: number): void;
  /** Aborts it at once, even inside an event; has no effect after its end. */
  abort(reason: EndReason): void;
}
