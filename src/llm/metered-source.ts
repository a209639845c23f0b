import { llmOf } from "../config/llm-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { BorrowedBytes, Sink, Source, SourceHead } from "../http/source.ts";
import type { LlmMetrics } from "../observe/llm-metrics.ts";
import { bodyOf } from "./format.ts";
import { Meter } from "./meter.ts";

/**
 * Returns a source whose body is read for tokens while it passes; `source` itself if its route does not read answers, or
 * if it is no answer of a model. The exchange's account shows the counts, and `metrics` get them when the source closes.
 */
export function metered(source: Source, exchange: Exchange, { config }: Route, metrics: LlmMetrics): Source {
  const llm = llmOf(config);
  const body = llm && bodyOf(exchange.request.method, source.head);
  if (llm === undefined || body === undefined) return source;
  const { account } = exchange;
  const meter = new Meter(body, llm, () => account.ageMs);
  account.countedTokensBy(meter);
  source.onClose(() => metrics.answered(config.name, meter.answer()));
  return new MeteredSource(source, meter);
}

/** A source that shows its body to a meter before it gives it to its sink. */
class MeteredSource implements Source, Sink {
  readonly #source: Source;
  readonly #meter: Meter;
  #sink: Sink | undefined;

  constructor(source: Source, meter: Meter) {
    this.#source = source;
    this.#meter = meter;
  }

  get head(): SourceHead {
    return this.#source.head;
  }

  start(sink: Sink): void {
    this.#sink = sink;
    this.#source.start(this);
  }

  pause(): void {
    this.#source.pause();
  }

  resume(): void {
    this.#source.resume();
  }

  cancel(): void {
    this.#source.cancel();
  }

  onClose(callback: () => void): void {
    this.#source.onClose(callback);
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    this.#meter.feed(bytes, start, end);
    this.#sink?.onData(bytes, start, end);
  }

  onEnd(rawTrailers: readonly string[]): void {
    this.#meter.finish();
    this.#sink?.onEnd(rawTrailers);
  }

  onError(error: Error): void {
    this.#sink?.onError(error);
  }
}
