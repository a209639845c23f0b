import type { Log } from "../observe/log.ts";

/** What in Redis can have a form that this version does not know; a fixed list, because it labels a metric. */
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
] as const;

export type InvalidKind = (typeof INVALID_KINDS)[number];

/**
 * Collects what goes wrong with Redis without a client to tell: data that no schema takes, and errors of our own in
 * callbacks of connections and timers.
 *
 * Invalid data is logged once for each kind, because it may come with every event.
 */
export class RedisFaults {
  /** Reports an error of our own; the callback that threw has ended, the process goes on. */
  readonly onFault: (error: unknown) => void;
  readonly #log: Log;
  readonly #counts = new Map<InvalidKind, number>(INVALID_KINDS.map((kind) => [kind, 0]));

  constructor(log: Log, onFault: (error: unknown) => void) {
    this.#log = log;
    this.onFault = onFault;
  }

  /** Invalid answers and values by kind, since the start. */
  get invalid(): ReadonlyMap<InvalidKind, number> {
    return this.#counts;
  }

  /** Counts what was skipped. Nothing of it is logged: it may be of any length, or hold a credential. */
  countInvalid(kind: InvalidKind): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (count === 1)
      this.#log.error({ kind }, "invalid data in redis skipped; further cases are only counted");
  }
}
