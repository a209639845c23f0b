import type { ErrorCode } from "../base/errors.ts";

/**
 * Where the records of shared streams are kept, and who asks the backend for each.
 *
 * Everything that clients see comes out of the feed, never straight from the backend: with a record in memory
 * the feed answers within `append`, with one that several instances share it answers once the event is safe.
 * So a leader that is killed has shown nothing that the others lack, and followers need no path of their own.
 */
export interface Store {
  /** Opens the record of one stream; nothing happens before its `start`. */
  open(options: RecordOptions): ChannelStore;
  /** Closes every record and gives every leadership up. */
  close(): Promise<void>;
}

export interface RecordOptions {
  /** Tells the stream from all others of all routes; printable ASCII of at most 200 characters. */
  readonly key: string;
  /** The route's name, for logs and metrics. */
  readonly route: string;
  /**
   * What makes the bytes of the stream (`streamDefinition`): instances whose routes differ in it share no record.
   */
  readonly definition: string;
  /** What the record keeps at most; `ageMs` counts from when an event was appended. */
  readonly bounds: HistoryBounds;
}

export interface HistoryBounds {
  readonly events: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** The record of one stream, as its channel holds it open. */
export interface ChannelStore {
  /**
   * Starts to feed, once. The feed gets first `onRecord`, then `onState`, then `onLead` or `onFollow`; a store in
   * memory calls all three within this call.
   */
  start(feed: ChannelFeed): void;
  /**
   * Appends events in their order; they come back through `onEvents` when they are safe, batches kept together.
   * Dropped unless this channel leads.
   */
  append(drafts: readonly Draft[]): void;
  /**
   * Feeds what was safe by now and has not come yet; undefined when there can be no such thing. It resolves in any
   * case, without what could not be had.
   */
  catchUp(): Promise<void> | undefined;
  /** Tells every channel of this stream, this one included, how the backend stands. Dropped unless it leads. */
  announce(state: BackendState): void;
  /** Gives up leadership and closes the feed; nothing is called afterwards. The record itself stays as the store keeps it. */
  close(): void;
}

/** What a store tells a channel. It is called in order and never re-entered for one channel. */
export interface ChannelFeed {
  /**
   * The record as it stands. A second call says that it is another one than before, because what was kept is lost:
   * ids of the old one are not found any more.
   */
  onRecord(record: StreamRecord): void;
  /** Events that are safe; to be delivered now. */
  onEvents(events: readonly StoredEvent[]): void;
  onState(state: BackendState): void;
  /** This channel is to ask the backend, from the last `backendId` that it was fed. */
  onLead(): void;
  /** Another channel asks the backend: a request under way is to be given up. */
  onFollow(): void;
  /** Whether the record is out of reach: events are then delivered at once, and kept here only. */
  onDegraded(isDegraded: boolean): void;
  /** What the channel still holds behind a position, oldest first: to write it again where it was lost. */
  held(afterSeq: number): readonly StoredEvent[];
}

/** What is kept of a stream. */
export interface StreamRecord {
  /** Names the record, at random: part of every id that is made for it. */
  readonly epoch: string;
  /** The position of the newest event there ever was; 0 before the first. */
  readonly lastSeq: number;
  /** Oldest first, positions without a hole. */
  readonly events: readonly StoredEvent[];
}

/** One event block on its way into a record. */
export interface Draft {
  /** The backend's id, one that the record does not hold; undefined where the store shall make one. Bytes as latin1. */
  readonly id: string | undefined;
  /** Whether a made id is written into the block, for clients to send back (`withId`). */
  readonly showsId: boolean;
  /** The last id that the backend sent up to and with this event; empty before the first. Bytes as latin1. */
  readonly backendId: string;
  readonly block: Buffer;
}

/** One event block in a record; `block` is shared by everybody and never changed. */
export interface StoredEvent {
  /** Its position: one more than that of the event before. */
  readonly seq: number;
  /**
   * What finds it again: the backend's id, or one that was made (`makeId`). One event of a record at most has it.
   * A made one need not begin with the record's epoch: each leader has a beginning of its own.
   */
  readonly id: string;
  readonly backendId: string;
  /** The bytes that clients get. */
  readonly block: Buffer;
  /** When it was appended, in ms since the epoch of the clock. */
  readonly at: number;
}

/** How the backend of a stream stands; plain JSON, because other instances read it. */
export type BackendState =
  /** Nobody has an answer yet: clients wait. */
  | { readonly is: "connecting" }
  /** It streams, or did so until a moment ago and is asked again. `retryMs`: the reconnection time that it sent. */
  | { readonly is: "open"; readonly retryMs?: number }
  /** It said that the stream is over (204): clients get what is kept, and then the same. */
  | { readonly is: "ended" }
  /** It refused, or could not be reached: everybody's answer until `retryAt` (ms since the epoch). */
  | {
      readonly is: "failed";
      readonly status: number;
      readonly code: ErrorCode;
      /** What goes out with it, such as Location; the names are from a short list. */
      readonly fields: readonly (readonly [name: string, value: string])[];
      readonly retryAt: number;
    };
