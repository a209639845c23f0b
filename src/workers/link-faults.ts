import type { InvalidMessageKind, LinkMetrics } from "../observe/link-metrics.ts";
import type { Log } from "../observe/log.ts";

/** Collects what goes wrong on the channels between processes without a client to tell. */
export class LinkFaults {
  /** Reports an error of our own; the callback that threw has ended, the process goes on. */
  readonly onFault: (error: unknown) => void;
  readonly #metrics: LinkMetrics;
  readonly #log: () => Log | undefined;
  readonly #told = new Set<InvalidMessageKind>();

  /** `log` is undefined as long as a worker has none. */
  constructor(metrics: LinkMetrics, log: () => Log | undefined, onFault: (error: unknown) => void) {
    this.#metrics = metrics;
    this.#log = log;
    this.onFault = onFault;
  }

  /** Counts a message that was skipped, and logs the first of each kind. `name` is a call of ours, or empty. */
  countInvalid(kind: InvalidMessageKind, name: string): void {
    this.#metrics.invalid(kind);
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    const message = "an invalid message of another process was skipped; further ones are counted";
    this.#log()?.error({ kind, call: name }, message);
  }
}
