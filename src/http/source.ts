/**
 * Bytes that belong to a read buffer of the process (upstream/backend-socket.ts), lent for the time of one call.
 *
 * The next read of any backend connection overwrites them, so a borrower that needs them later copies them. Until the
 * call returns, the borrower may write into the bytes around the part that it was lent: `toChunkText` (http/chunk.ts)
 * frames a chunk there.
 */
export type BorrowedBytes = Buffer;

/** The head of a response on its way to a client. */
export interface SourceHead {
  readonly status: number;
  readonly reason: string;
  /** Names and values in one flat list, in the order and spelling of the wire, duplicates included. */
  readonly rawHeaders: readonly string[];
}

/** Receives the body of a response. Exactly one of `onEnd` and `onError` is called, unless the source is cancelled. */
export interface Sink {
  /**
   * Receives a part of the body, never empty: `bytes` from `start` up to `end`.
   */
  onData(bytes: BorrowedBytes, start: number, end: number): void;
  /** Called when the body is complete. */
  onEnd(rawTrailers: readonly string[]): void;
  /** Called when the body is incomplete and no more will come. */
  onError(error: Error): void;
}

/** A response of a backend, a mock or the probe route: its head is known, its body flows once it is started. */
export interface Source {
  /** Must be read before `start`: a source may release it, as streams last for hours. */
  readonly head: SourceHead;
  /**
   * Gives the body to `sink`; the bytes that have arrived already are given before the call returns, unless they have to
   * be decoded. Called once.
   */
  start(sink: Sink): void;
  /** Stops reading; at most one more part follows. */
  pause(): void;
  resume(): void;
  /** Ends the response, such as its backend request; afterwards only `onClose` calls back. */
  cancel(): void;
  /** Calls back once, when nothing more can come: the body was complete, incomplete, or cancelled. */
  onClose(callback: () => void): void;
}
