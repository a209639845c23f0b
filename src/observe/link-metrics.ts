import { Counter, Registry } from "prom-client";
import { internalErrorCounter } from "./common-metrics.ts";

/** What of a message between two processes can have a form that this version does not know; labels a metric. */
export const INVALID_MESSAGE_KINDS = ["message", "call", "argument", "answer", "failure"] as const;

export type InvalidMessageKind = (typeof INVALID_MESSAGE_KINDS)[number];

/** What goes wrong between the processes of one gateway, as each of them counts it; added up over all. */
export class LinkMetrics {
  readonly registry = new Registry();
  readonly #invalid: Counter<"kind">;

  constructor() {
    this.#invalid = new Counter({
      name: "sluice_worker_messages_invalid_total",
      help: "Messages between the processes of one gateway that had no form of this version's and were skipped, by kind.",
      labelNames: ["kind"] as const,
      registers: [this.registry],
    });
    for (const kind of INVALID_MESSAGE_KINDS) this.#invalid.inc({ kind }, 0);
  }

  invalid(kind: InvalidMessageKind): void {
    this.#invalid.inc({ kind });
  }
}

/** Those of the process that has the workers, whose own errors are no exchange's and no route's. */
export class PrimaryLinkMetrics extends LinkMetrics {
  readonly #internalErrors = internalErrorCounter([this.registry]);

  internalError(): void {
    this.#internalErrors.inc();
  }
}
