/**
 * Bytes that belong to a read buffer of the process (upstream/connection.ts), lent for the time of one call.
 *
 * The next read of any backend connection overwrites them, so a borrower that needs them later copies them. Until the
 * call returns, the borrower may write into the bytes around the part that it was lent: `toChunkText` (http/chunk.ts)
 * frames a chunk there.
 */
export type BorrowedBytes = Buffer;

/** The head of an answer on its way to a client. */
export interface SourceHead {
  readonly status: number;
  readonly reason: string;
  /** Flat names and values in the order and spelling of the wire, duplicates included. */
  readonly rawHeaders: readonly string[];
}

/** Takes the body of an answer. Exactly one of `onEnd` and `onError` is called, unless it is cancelled. */
export interface Sink {
  /**
   * A part of the body, never empty: what is in `bytes` from `start` up to `end`. They are valid during the call only,
   * and those around the part are the sink's to write over.
   */
  onData(bytes: BorrowedBytes, start: number, end: number): void;
  /** The body came whole. */
  onEnd(rawTrailers: readonly string[]): void;
  /** The body broke off. */
  onError(error: Error): void;
}

/** An answer, of a backend or of a route's file: its head is here, its body flows once it is started. */
export interface Source {
  /** To be read before `start`: a stream of hours need not hold it. */
  readonly head: SourceHead;
  /** Gives the body to `sink`, before it returns what has come already; called once. */
  start(sink: Sink): void;
  /** Stops reading; at most one more part comes. */
  pause(): void;
  resume(): void;
  /** Ends what makes it; nothing is called afterwards but `onClose`. */
  cancel(): void;
  /** Calls back once, when nothing more can come: it was whole, broke off, or was cancelled. */
  onClose(callback: () => void): void;
}
