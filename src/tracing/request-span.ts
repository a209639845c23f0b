import type { Context, Span, Tracer } from "@opentelemetry/api";
import type { EndReason } from "../base/outcome.ts";
import type {
  AttemptTrace,
  ChannelTrace,
  ExchangeTrace,
  SettledExchange,
} from "../exchange/exchange-trace.ts";
import { AttemptSpans } from "./attempt-spans.ts";
import { noteEnd } from "./attributes.ts";
import { ChannelSpans } from "./connection-span.ts";

/** The span of a client's request, with the spans of its attempts. */
export class RequestSpan extends AttemptSpans implements ExchangeTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #begunAt = Date.now();
  #channel: ChannelSpans | undefined;

  /** `context` is that of the request's parent. */
  constructor(tracer: Tracer, span: Span, context: Context) {
    super(tracer, span, context);
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
  }

  streamOpened(isResumed: boolean): void {
    this.#span.addEvent("stream opened");
    if (isResumed) this.#span.addEvent("resumed");
  }

  settled(exchange: SettledExchange, reason: EndReason): void {
    const span = this.#span;
    if (!span.isRecording()) return;
    const { firstEventMs } = exchange.account;
    // Noted now, because an event must cost a stream nothing.
    if (firstEventMs !== undefined) span.addEvent("first event", this.#begunAt + firstEventMs);
    const link = this.#channel?.latest;
    if (link !== undefined) span.addLink({ context: link });
    noteEnd(span, exchange, reason);
    span.end();
  }

  forAnswer(): AttemptTrace {
    return new AttemptSpans(this.#tracer, this.#span, this.#context);
  }

  forChannel(route: string): ChannelTrace {
    return new ChannelSpans(this.#tracer, route, this.#span.spanContext());
  }

  reads(channel: ChannelTrace): void {
    if (channel instanceof ChannelSpans) this.#channel = channel;
  }
}
