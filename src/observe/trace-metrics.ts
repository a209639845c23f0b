import { Counter, type Registry } from "prom-client";

/** Why spans were dropped: `tracing.queue` was full, or the receiver did not take them. */
export type DropReason = "queue" | "receiver";

/** The spans that have left the queue of spans so far. */
export interface SpanCounts {
  readonly exported: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

/** Declares the metrics of tracing, read at each scrape. */
export function declareTraces(registers: Registry[], spans: () => SpanCounts): void {
  new Counter({
    name: "sluice_trace_spans_exported_total",
    help: "Spans that the receiver of traces has taken.",
    registers,
    collect() {
      this.reset();
      this.inc(spans().exported);
    },
  });
  new Counter({
    name: "sluice_trace_spans_dropped_total",
    help: "Spans that were dropped, by reason: tracing.queue was full, or the receiver did not take them in time.",
    labelNames: ["reason"],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(spans().dropped)) this.inc({ reason }, count);
    },
  });
}
