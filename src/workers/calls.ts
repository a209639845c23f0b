import type { View } from "../admin/admin-view.ts";
import type { StreamPage, StreamQuery } from "../admin/streams.ts";
import type { ErrorCode, ProxyError } from "../base/errors.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import type { Config } from "../config/server-schema.ts";
import type { Issued, SignatureUse, StreamLimits, WindowCount } from "../limits/counter-store.ts";
import type { MetricValues } from "../observe/metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import type { Obstacle } from "../runtime/readiness.ts";

/** Why there is no place for a stream. */
export interface NoPlace {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fields: ProxyError["fields"];
}

/** What workers say to the primary. */
export interface PrimaryCalls extends CounterCalls {
  /** It listens to its channel; node:cluster drops what came before. */
  up(of: undefined): void;
  /** An error ended it that belongs to no exchange: it serves on until another does in its place. */
  crashed(of: undefined): void;
}

/** What workers ask of the primary: what is counted for all of them. */
export interface CounterCalls {
  /** Notes how many connections the worker has; how many all have. */
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
  /** The worker numbers its streams, so that it can give a place back of which it never heard. */
  enterStream(of: {
    readonly id: number;
    readonly place: string;
    readonly limits: StreamLimits;
    readonly address: string;
  }): NoPlace | undefined;
  leaveStream(id: number): void;
}

/** One count of one rate of a route. */
export interface RateKey {
  readonly route: string;
  readonly config: RateConfig;
  readonly key: string;
}

/** What the primary asks of a worker. */
export interface WorkerCalls {
  /** Listens; where. `loopId` is that of all workers. */
  start(of: {
    readonly config: Config;
    readonly worker: number;
    readonly loopId: string;
  }): Promise<readonly string[]>;
  /** The first half of a reload, which may fail; `commit` or `discard` is the second. */
  prepare(config: Config): Promise<void>;
  commit(of: undefined): Promise<void>;
  discard(of: undefined): Promise<void>;
  /** Ends the worker as a gateway is closed; its process exits. */
  close(how: { readonly now: boolean }): Promise<void>;
  status(of: undefined): WorkerStatus;
  view(query: StreamQuery): Promise<View>;
  listStreams(query: StreamQuery): Promise<StreamPage>;
  endStreams(id: string): Promise<boolean>;
  metrics(of: undefined): Promise<readonly MetricValues[]>;
}

/** What is known of a worker from one second to the next. */
export interface WorkerStatus {
  readonly sample: Sample | undefined;
  readonly obstacles: readonly Obstacle[];
}
