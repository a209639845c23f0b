import { setTimeout as sleep } from "node:timers/promises";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { TracingConfig } from "../config/tracing-schema.ts";
import type { SpanTally } from "./span-tally.ts";

/** The maximum number of spans in one request to the receiver; OpenTelemetry's default. */
const MAX_BATCH = 512;

/** The time after `tracing.timeout`, in ms, for which the next batch still waits for a batch under way. */
const GRACE_MS = 1_000;

/** The reports of a queue about its spans. */
export interface QueueListener {
  readonly tally: SpanTally;
  /** The queues that hold spans. */
  readonly filled: Set<SpanQueue>;
}

/**
 * The ended spans that the receiver does not have: at most `tracing.queue`, with those of the batches under way.
 *
 * OpenTelemetry's processor makes the batches. It tells neither which spans it drops nor which exports fail, so this
 * class counts before and behind it.
 */
export class SpanQueue implements SpanProcessor {
  readonly #limit: number;
  readonly #exporter: SpanExporter;
  readonly #batches: BatchSpanProcessor;
  readonly #listener: QueueListener;
  #length = 0;

  constructor(
    { queue, interval, timeout }: Pick<TracingConfig, "queue" | "interval" | "timeout">,
    exporter: SpanExporter,
    listener: QueueListener,
  ) {
    this.#limit = queue;
    this.#exporter = exporter;
    this.#listener = listener;
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, callback) => this.#export(spans, callback),
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: queue,
      maxExportBatchSize: Math.min(MAX_BATCH, queue),
      scheduledDelayMillis: interval,
      exportTimeoutMillis: timeout + GRACE_MS,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#length >= this.#limit) {
      this.#listener.tally.addDropped("queue", 1);
      return;
    }
    if (this.#length++ === 0) this.#listener.filled.add(this);
    this.#batches.onEnd(span);
  }

  async forceFlush(): Promise<void> {
    // A failed export is counted where it fails.
    await this.#batches.forceFlush().catch(() => {});
    await this.#exporter.forceFlush?.();
  }

  /** Sends its spans within `limitMs`; later spans are dropped, as are those that are left. */
  async close(limitMs: number): Promise<void> {
    const limit = new AbortController();
    const late = sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {});
    await Promise.race([this.forceFlush(), late]);
    limit.abort();
    const left = this.#length;
    if (left > 0) this.#listener.tally.addDropped("receiver", left, new Error("the gateway closes"));
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #export(spans: ReadableSpan[], callback: (result: ExportResult) => void): void {
    const { tally, filled } = this.#listener;
    this.#exporter.export(spans, (result) => {
      this.#length -= spans.length;
      if (this.#length === 0) filled.delete(this);
      if (result.code === ExportResultCode.SUCCESS) tally.addExported(spans.length);
      else tally.addDropped("receiver", spans.length, result.error);
      callback(result);
    });
  }
}
