import { Counter, Registry } from "prom-client";
import { internalErrorCounter } from "./common-metrics.ts";

/** The parts of a message between two processes that may be invalid; the labels of a metric. */
export const INVALID_MESSAGE_KINDS = ["message", "call", "argument", "answer", "failure"] as const;

export type InvalidMessageKind = (typeof INVALID_MESSAGE_KINDS)[number];

/** Counts invalid messages between the processes of one gateway, in each process; the sums are shown. */
export class LinkMetrics {
  readonly registry = new Registry();
  readonly #invalid: Counter<"kind">;

  constructor() {
    this.#invalid = new Counter({
      name: "sluice_worker_messages_invalid_total",
      help: "Invalid messages between the processes of one gateway, which were skipped, by kind.",
      labelNames: ["kind"] as const,
      registers: [this.registry],
    });
    for (const kind of INVALID_MESSAGE_KINDS) this.#invalid.inc({ kind }, 0);
  }

  invalid(kind: InvalidMessageKind): void {
    this.#invalid.inc({ kind });
  }
}

/** The same for the primary, with its internal errors, which belong to no exchange and no route. */
export class PrimaryLinkMetrics extends LinkMetrics {
  readonly #internalErrors = internalErrorCounter([this.registry]);

  internalError(): void {
    this.#internalErrors.inc();
  }
}
