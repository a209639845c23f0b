/** Reads the parts of an answer: the data of events, or JSON values. */
export interface PartReader {
  /** Whether these bytes, one or more whole parts, may hold something that is still to be read. */
  wants(bytes: Buffer): boolean;
  /** Reads the text of one part. */
  read(text: string): void;
}

/** The body of an answer, split into parts while it passes. It keeps no bytes beyond a call but those of one part. */
export interface Parts {
  /** The number of parts that have ended. */
  readonly count: number;
  /** Whether a part was too long to be read. */
  readonly hasSkipped: boolean;
  /** Takes the next bytes of the body, which are borrowed: `bytes` from `start` up to `end`. */
  feed(bytes: Buffer, start: number, end: number): void;
}
