import type { Log } from "../observe/log.ts";
import type { DropReason, SpanCounts } from "../observe/trace-metrics.ts";

/** Counts spans for metrics, over all reloads, and logs once when spans begin to be dropped. */
export class SpanTally implements SpanCounts {
  readonly dropped: Record<DropReason, number> = { queue: 0, receiver: 0 };
  readonly #log: Log;
  #exported = 0;
  #isDropping = false;

  constructor(log: Log) {
    this.#log = log;
  }

  get exported(): number {
    return this.#exported;
  }

  addExported(spans: number): void {
    this.#exported += spans;
    if (this.#isDropping) this.#log.info("spans are sent again");
    this.#isDropping = false;
  }

  /** `error` is the reason of the receiver; undefined if the queue is full. */
  addDropped(why: DropReason, spans: number, error?: Error): void {
    this.dropped[why] += spans;
    if (this.#isDropping) return;
    this.#isDropping = true;
    const reason = error === undefined ? "tracing.queue is full" : error.message || error.name;
    this.#log.warn(
      { code: "spans_dropped", reason },
      "spans are dropped: the receiver of traces is away or too slow",
    );
  }
}
