import {
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type Tracer,
} from "@opentelemetry/api";
import type { ChannelTrace, ConnectionTrace } from "../exchange/exchange-trace.ts";
import { AttemptSpans } from "./attempt-spans.ts";
import { fail } from "./attributes.ts";

/** The backend connections of one shared stream. Each has a trace of its own: it belongs to no single client. */
export class ChannelSpans implements ChannelTrace {
  readonly #tracer: Tracer;
  readonly #route: string;
  readonly #links: Link[];
  #latest: SpanContext | undefined;

  /** `opener` is the request that opened the stream. */
  constructor(tracer: Tracer, route: string, opener: SpanContext) {
    this.#tracer = tracer;
    this.#route = route;
    this.#links = [{ context: opener }];
  }

  /** The span of the latest connection; undefined while another instance has the connection. */
  get latest(): SpanContext | undefined {
    return this.#latest;
  }

  connect(): ConnectionTrace {
    const attributes = { "sluice.route": this.#route };
    const options = { kind: SpanKind.INTERNAL, attributes, links: this.#links };
    const span = this.#tracer.startSpan("shared stream", options, ROOT_CONTEXT);
    this.#latest = span.spanContext();
    return new ConnectionSpan(this.#tracer, span);
  }
}

class ConnectionSpan extends AttemptSpans implements ConnectionTrace {
  readonly #span: Span;

  constructor(tracer: Tracer, span: Span) {
    super(tracer, span, ROOT_CONTEXT);
    this.#span = span;
  }

  opened(isResumed: boolean): void {
    this.#span.addEvent("stream opened");
    if (isResumed) this.#span.addEvent("resumed");
  }

  ended(type: string | undefined): void {
    if (type !== undefined) fail(this.#span, type);
    this.#span.end();
  }
}
