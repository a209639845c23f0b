import type { Log } from "../observe/log.ts";

/** The data in Redis that can be invalid; a fixed list, because it labels a metric. */
export const INVALID_KINDS = [
  "lease",
  "append",
  "release",
  "entry",
  "state",
  "reader",
  "definition",
  "count",
  "signature",
  "ticket",
  "session",
  "answer",
  "cluster",
  "rights",
] as const;

export type InvalidKind = (typeof INVALID_KINDS)[number];

/**
 * Collects faults with Redis that concern no client: invalid data, and unexpected errors in callbacks of connections
 * and timers.
 *
 * Invalid data is logged once for each kind, because it may come with every event.
 */
export class RedisFaults {
  /** Reports an unexpected error in a callback; the process goes on. */
  readonly onFault: (error: unknown) => void;
  readonly #log: Log;
  readonly #counts = new Map<InvalidKind, number>(INVALID_KINDS.map((kind) => [kind, 0]));

  constructor(log: Log, onFault: (error: unknown) => void) {
    this.#log = log;
    this.onFault = onFault;
  }

  /** Invalid replies and values by kind, since the start. */
  get invalid(): ReadonlyMap<InvalidKind, number> {
    return this.#counts;
  }

  /** Counts skipped data. The data itself is not logged: it may be of any length, or contain a credential. */
  countInvalid(kind: InvalidKind): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (count === 1)
      this.#log.error({ kind }, "invalid data in redis skipped; further cases are only counted");
  }
}
