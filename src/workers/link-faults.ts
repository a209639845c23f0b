import type { InvalidMessageKind, LinkMetrics } from "../observe/link-metrics.ts";
import type { Log } from "../observe/log.ts";

/** Counts and logs faults on the channels between processes that concern no exchange. */
export class LinkFaults {
  /** Reports an unexpected error in a callback; the process goes on. */
  readonly onFault: (error: unknown) => void;
  readonly #metrics: LinkMetrics;
  readonly #log: () => Log | undefined;
  readonly #told = new Set<InvalidMessageKind>();

  /** `log` returns undefined before a worker has started. */
  constructor(metrics: LinkMetrics, log: () => Log | undefined, onFault: (error: unknown) => void) {
    this.#metrics = metrics;
    this.#log = log;
    this.onFault = onFault;
  }

  /** Counts a skipped message, and logs the first of each kind. `name` is a known call, or empty. */
  countInvalid(kind: InvalidMessageKind, name: string): void {
    this.#metrics.invalid(kind);
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    const message = "invalid message from another process skipped; further ones are only counted";
    this.#log()?.error({ kind, call: name }, message);
  }
}
