import type { EndReason } from "../base/outcome.ts";
import type { BackendAddress } from "../config/scalars.ts";
import type { Account } from "./account.ts";
import type { RoutedRequest } from "./routed-request.ts";

/** The ids by which a log line names its trace and its span. */
export interface TraceIds {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/** The spans of a request to an upstream: one for each attempt, one after the other. */
export interface AttemptTrace {
  readonly ids: TraceIds;
  /** An attempt begins: the backend is about to be dialled. */
  attemptBegins(address: BackendAddress): void;
  /** Puts the attempt's context, in place, into the fields of its request; `path` may have a query. */
  forward(fields: string[], method: string, path: string): void;
  /** The response head of the attempt has come. */
  attemptAnswered(status: number): void;
  /** The attempt has brought no response; `type` is an error code. */
  attemptFailed(type: string): void;
}

/** The span of a shared stream's backend connection; its attempts are its children. */
export interface ConnectionTrace extends AttemptTrace {
  /** The stream has come. */
  opened(isResumed: boolean): void;
  /** The connection has ended, or no stream came. `type` is an error code; undefined for an end without an error. */
  ended(type: string | undefined): void;
}

/** The backend connections of one shared stream, traced one after the other. */
export interface ChannelTrace {
  connect(): ConnectionTrace;
}

/** An exchange that has ended, as its span describes it. */
export type SettledExchange = RoutedRequest & {
  readonly id: string;
  readonly account: Account;
  /** Without the query. */
  readonly path: string;
};

/** The span of a client's request. */
export interface ExchangeTrace extends AttemptTrace {
  /** The response is a stream, and its head is sent; `isResumed`: the client has named the last event that it has. */
  streamOpened(isResumed: boolean): void;
  /** The exchange has ended: ends the span. */
  settled(exchange: SettledExchange, reason: EndReason): void;
  /** Returns the spans of attempts that last longer than this request, for a named answer. */
  forAnswer(): AttemptTrace;
  /** Returns the trace of a shared stream that this request opens. */
  forChannel(route: string): ChannelTrace;
  /** The client reads a shared stream: links the spans of both. */
  reads(channel: ChannelTrace): void;
}
