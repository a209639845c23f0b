import type { Readable } from "node:stream";

/** A response head, and its body as it is read: a backend's answer, or one that a route's file gives. */
export interface SourceHead extends Readable {
  readonly statusCode?: number | undefined;
  readonly statusMessage?: string | undefined;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
}

/** An answer on its way to a client. */
export interface Source {
  readonly head: SourceHead;
  /** Ends what makes it. */
  cancel(): void;
}
