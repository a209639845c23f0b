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
  /** The names of answers, for all instances; undefined if the records live in this process alone. */
  readonly answers?: AnswerIndex;
}

/** The index of named answers cannot be reached. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** The names of one route's answers, for all instances. Each method rejects with StoreUnavailable. */
export interface AnswerIndex {
  /**
   * Gives a name to an answer unless another answer than `replaced` has it; returns the id of the answer that has it
   * then. A name expires after `keepMs`.
   */
  claim(
    name: string,
    ids: { readonly id: string; readonly replaced: string | undefined },
    keepMs: number,
  ): Promise<string>;
  /** Returns the id of the answer with this name. */
  find(name: string): Promise<string | undefined>;
  /** Whether there is a record of this answer. */
  has(answer: RecordName): Promise<boolean>;
  /** Lets a name last for another `keepMs`, unless another answer has it. */
  hold(name: string, id: string, keepMs: number): Promise<void>;
  /** Frees a name, if it is still this answer's. */
  free(name: string, id: string): Promise<void>;
  /** Deletes the record of an answer. */
  forget(answer: RecordName): Promise<void>;
  /** Notes for `keepMs` that the answer has a client at another instance than the one that generates it. */
  attend(answer: RecordName, keepMs: number): Promise<void>;
  /** Whether `attend` was called in time. */
  isAttended(answer: RecordName): Promise<boolean>;
}

/** Names a record. */
export type RecordName = Pick<RecordOptions, "key" | "route" | "definition">;

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
  /** Set for a named answer: blocks hold any bytes, and the record stays for `keepMs` after its last leader. */
  readonly answer?: {
    readonly keepMs: number;
    /** Whether another process generates it, so that this one leads only if no other does for a lease time. */
    readonly isFollower: boolean;
  };
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
  /** Replaces the state, whoever leads: that one must stop. Undefined if every channel leads. */
  override?(state: BackendState): Promise<void>;
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
  /** The last announced state, and all events before it, are safe. A store in memory does not call it. */
  onWritten?(): void;
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

/** The facts about a named answer beside its events; plain JSON. */
export interface AnswerFacts {
  /** A hash of all that the answer belongs to, without its name. */
  readonly scope: string;
  /** The SHA-256 of the request's body in hex; undefined until the body is complete. */
  readonly bodyHash?: string;
  /** The fields of the backend's response, flat; undefined until its head has come. */
  readonly fields?: readonly string[];
}

/** The state of a stream's backend; plain JSON, because other instances read it. Only named answers have facts. */
export type BackendState =
  /** The backend has not responded yet: clients wait. */
  | { readonly is: "connecting"; readonly answer?: AnswerFacts }
  /** The backend streams, or is redialled after it did. `retryMs` is the reconnection time that it sent. */
  | { readonly is: "open"; readonly retryMs?: number; readonly answer?: AnswerFacts }
  /** The backend ended the stream for good (204): clients get the kept events, and then 204. An answer is whole. */
  | { readonly is: "ended"; readonly answer?: AnswerFacts }
  /** An answer is incomplete for good: clients get the kept events, and are then aborted. */
  | { readonly is: "broken"; readonly code: ErrorCode; readonly answer?: AnswerFacts }
  /** The backend refused or could not be reached: all clients get this until `retryAt` (ms since the Unix epoch). */
  | {
      readonly is: "failed";
      readonly status: number;
      readonly code: ErrorCode;
      /** Fields for the client, such as Location; only a few names are allowed. */
      readonly fields: readonly (readonly [name: string, value: string])[];
      readonly retryAt: number;
    };
