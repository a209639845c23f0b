import type { View } from "../admin/admin-view.ts";
import type { StreamPage, StreamQuery, ViewQuery } from "../admin/streams.ts";
import type { ErrorCode, ProxyError } from "../base/errors.ts";
import type { Config } from "../config/server-schema.ts";
import type {
  Issued,
  SessionBounds,
  SignatureUse,
  StreamLimits,
  WindowConfig,
  WindowCount,
} from "../limits/counter-store.ts";
import type { MetricValues } from "../observe/metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import type { Obstacle } from "../runtime/readiness.ts";

/** The refusal of a place for a stream. */
export interface NoPlace {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fields: ProxyError["fields"];
}

/** The calls of a worker to the primary. */
export interface PrimaryCalls extends CounterCalls {
  /** The worker is ready for messages; node:cluster drops messages that were sent before. */
  up(of: undefined): void;
  /** An unexpected error outside of any exchange: the worker serves until another worker replaces it. */
  crashed(of: undefined): void;
}

/** The calls of a worker to the counters of all workers. */
export interface CounterCalls {
  /** Sets the worker's number of open connections; returns the number of all workers. */
  countConnections(open: number): number;
  admit(of: {
    readonly signature: Uint8Array;
    readonly expiresAt: number;
    readonly now: number;
  }): SignatureUse;
  putTicket(of: {
    readonly route: string;
    readonly hash: string;
    readonly issued: Issued;
    readonly limit: number;
  }): number | undefined;
  takeTicket(of: { readonly route: string; readonly hash: string }): Issued | undefined;
  countRequest(of: RateKey): Promise<WindowCount>;
  uncountRequest(of: RateKey): Promise<void>;
  /**
   * Takes a place for a stream. The worker numbers its streams, so that it can release a place even if the answer
   * was lost.
   */
  enterStream(of: {
    readonly id: number;
    readonly place: string;
    readonly limits: StreamLimits;
    readonly address: string;
  }): NoPlace | undefined;
  leaveStream(id: number): void;
  findSession(of: SessionKey): string | undefined;
  putSession(of: SessionKey & { readonly backend: string }): void;
}

/** Names one count of one limit of a route. */
export interface RateKey {
  readonly route: string;
  readonly config: WindowConfig;
  readonly key: string;
  /** How much is counted; 1 if it is missing. */
  readonly amount?: number | undefined;
}

/** Names one session of a route in one of its environments. */
export interface SessionKey {
  readonly route: string;
  readonly environment: string;
  readonly bounds: SessionBounds;
  readonly session: string;
}

/** The calls of the primary to a worker. */
export interface WorkerCalls {
  /** Starts listening; returns the addresses. All workers share `loopId`. */
  start(of: {
    readonly config: Config;
    readonly worker: number;
    readonly loopId: string;
  }): Promise<readonly string[]>;
  /** The first half of a reload, which may fail; `commit` or `discard` is the second half. */
  prepare(config: Config): Promise<void>;
  commit(of: undefined): Promise<void>;
  discard(of: undefined): Promise<void>;
  /** Closes the worker's gateway, then its process exits. */
  close(how: { readonly now: boolean }): Promise<void>;
  status(of: undefined): WorkerStatus;
  view(query: ViewQuery): Promise<View>;
  listStreams(query: StreamQuery): Promise<StreamPage>;
  endStreams(id: string): Promise<boolean>;
  metrics(of: undefined): Promise<readonly MetricValues[]>;
}

/** The state of a worker that the primary polls once a second. */
export interface WorkerStatus {
  readonly sample: Sample | undefined;
  readonly obstacles: readonly Obstacle[];
}
