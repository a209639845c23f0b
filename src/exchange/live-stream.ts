import type { EndReason } from "../base/outcome.ts";
import { acceptsEventStream } from "../http/media-type.ts";
import type { Exchange } from "./exchange.ts";

/** An open stream or tunnel; the bytes that it has sent are counted on its exchange. */
export interface LiveStream {
  readonly exchange: Exchange;
  /** Whether it is a subscriber of a shared stream. */
  readonly isShared?: boolean;
  /** Whether its client reconnects after an end. The stream of any other client is not ended early by a drain. */
  readonly reconnects: boolean;
  /** Bytes written to its client that wait in this process. */
  readonly pendingBytes: number;
  /**
   * Ends it at an event boundary: now if it is at a boundary, else at the next. `retryMs` is a reconnection time to send
   * to the client before. Aborts it if its client would not reconnect: that client would read the end as the end of a
   * complete response.
   */
  endAtBoundary(reason: EndReason, retryMs?: number): void;
  /** Aborts the stream at once, even inside an event; has no effect after its end. */
  abort(reason: EndReason): void;
}

/**
 * Whether the client of a request reconnects when its event stream ends: an EventSource does, and sends GET with this
 * Accept (WHATWG HTML, section 9.2.2). The reader of a POST takes the end of the stream for the end of the response.
 */
export function isReconnecting({ request }: Pick<Exchange, "request">): boolean {
  return request.method === "GET" && acceptsEventStream(request.rawHeaders);
}
