import type { ErrorCode } from "../base/errors.ts";

/**
 * Keeps the records of shared streams, and decides which instance asks the backend for each.
 *
 * Clients get events only from the feed, never directly from the backend. A record in memory feeds an event back within
 * `append`; a record that several instances share feeds it back once it is safe. So a leader that is killed has delivered
 * nothing that the other instances lack, and followers need no code path of their own.
 */
export interface Store {
  /** Opens the record of one stream; it does nothing before `start`. */
  open(options: RecordOptions): ChannelStore;
  /** Closes every record and gives up every lease. */
  close(): Promise<void>;
}

export interface RecordOptions {
  /** Unique for the stream among all streams of all routes; printable ASCII of at most 200 characters. */
  readonly key: string;
  /** The route's name, for logs and metrics. */
  readonly route: string;
  /**
   * The part of the route that determines the stream's bytes (`streamDefinition`): instances that differ in it share no
   * record.
   */
  readonly definition: string;
  /** The bounds of the record; the age of an event counts from its `append`. */
  readonly bounds: HistoryBounds;
}

export interface HistoryBounds {
  readonly events: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** The record of one stream, held open by its channel. */
export interface ChannelStore {
  /**
   * Starts to feed; to be called once. It calls `onRecord` first, then `onState`, then `onLead` or `onFollow`; a store in
   * memory does so within this call.
   */
  start(feed: ChannelFeed): void;
  /**
   * Appends events in order; they come back through `onEvents` once they are safe, the events of one call together.
   * Has no effect unless this channel leads.
   */
  append(drafts: readonly Draft[]): void;
  /**
   * Feeds the events that are safe by now and have not been fed; returns undefined if there can be none. The promise
   * always resolves, even if some of them could not be read.
   */
  catchUp(): Promise<void> | undefined;
  /** Tells every channel of this stream, this one included, the backend's state. Has no effect unless it leads. */
  announce(state: BackendState): void;
  /** Gives up the lease and ends the feed, which is not called afterwards. The store keeps the record itself. */
  close(): void;
}

/** The calls of a store to a channel. Its methods are called in order and never re-entered for one channel. */
export interface ChannelFeed {
  /**
   * The current record. A second call means that the store lost the old one: its ids are not found any more.
   */
  onRecord(record: StreamRecord): void;
  /** Events that are safe; the channel delivers them now. */
  onEvents(events: readonly StoredEvent[]): void;
  onState(state: BackendState): void;
  /** This channel must ask the backend, from the last `backendId` that it was fed. */
  onLead(): void;
  /** Another channel asks the backend: this one must cancel its request. */
  onFollow(): void;
  /** Whether the record cannot be reached: events are then delivered at once and kept only in this process. */
  onDegraded(isDegraded: boolean): void;
  /** Returns the events that the channel holds behind a position, oldest first, to write them again after a loss. */
  held(afterSeq: number): readonly StoredEvent[];
}

/** The kept part of a stream. */
export interface StreamRecord {
  /** A random name of the record, part of every id that is made for it. */
  readonly epoch: string;
  /** The position of the newest event that was ever appended; 0 before the first. */
  readonly lastSeq: number;
  /** Oldest first, with consecutive positions. */
  readonly events: readonly StoredEvent[];
}

/** An event block to append to a record. */
export interface Draft {
  /** The backend's id, which no event of the record has; undefined if the store is to make one. Bytes as latin1. */
  readonly id: string | undefined;
  /** Whether the store writes the id that it makes into the block, for clients to send back (`withId`). */
  readonly showsId: boolean;
  /** The last id that the backend sent with this event or before; empty before the first. Bytes as latin1. */
  readonly backendId: string;
  readonly block: Buffer;
}

/** An event block in a record; all clients share `block`, which never changes. */
export interface StoredEvent {
  /** Its position: one more than that of the event before. */
  readonly seq: number;
  /**
   * The backend's id, or one that a store made (`makeId`); unique in the record. A made id need not begin with the
   * record's epoch, because each leader makes ids with an epoch of its own.
   */
  readonly id: string;
  readonly backendId: string;
  /** The bytes that clients get. */
  readonly block: Buffer;
  /** When it was appended, in ms since the Unix epoch. */
  readonly at: number;
}

/** The state of a stream's backend; plain JSON, because other instances read it. */
export type BackendState =
  /** The backend has not responded yet: clients wait. */
  | { readonly is: "connecting" }
  /** The backend streams, or is redialled after it did. `retryMs` is the reconnection time that it sent. */
  | { readonly is: "open"; readonly retryMs?: number }
  /** The backend ended the stream for good (204): clients get the kept events, and then 204. */
  | { readonly is: "ended" }
  /** The backend refused or could not be reached: all clients get this until `retryAt` (ms since the Unix epoch). */
  | {
      readonly is: "failed";
      readonly status: number;
      readonly code: ErrorCode;
      /** Fields for the client, such as Location; only a few names are allowed. */
      readonly fields: readonly (readonly [name: string, value: string])[];
      readonly retryAt: number;
    };
