import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";

/** A client that waits for an answer. */
export interface AnswerClient {
  readonly exchange: Exchange;
  readonly response: ClientResponse;
  /** Bytes as latin1; empty for the start. */
  readonly lastEventId: string;
  /** Whether its request is the one that the backend gets. */
  readonly isFirst: boolean;
  /** The open streams; the client's stream of the answer is among them until its response closes. */
  readonly open: Set<LiveStream>;
  /** The client has read the whole answer already. */
  onRead(): void;
  /** Takes a response that is not kept: it is forwarded as usual. */
  onPassed(source: Source): void;
}
