import { type Context, type Span, SpanKind, type SpanOptions, type Tracer, trace } from "@opentelemetry/api";
import type { BackendAddress } from "../config/scalars.ts";
import type { AttemptTrace, TraceIds } from "../exchange/exchange-trace.ts";
import { attemptAttributes, fail, methodName, noteStatus, sentAttributes } from "./attributes.ts";
import { writeContext } from "./context.ts";

/** The spans of attempts below one span: one at a time. Without a recorded parent, no attempt has a span of its own. */
export class AttemptSpans implements AttemptTrace {
  readonly #tracer: Tracer;
  readonly #parent: Span;
  /**
   * The context of its spans; undefined if they are not recorded. Decided once: a named answer may be dialled after the
   * request that opened it has ended.
   */
  readonly #context: Context | undefined;
  #current: Span | undefined;
  #address: BackendAddress | undefined;
  #attempts = 0;

  constructor(tracer: Tracer, parent: Span, context: Context) {
    this.#tracer = tracer;
    this.#parent = parent;
    this.#context = parent.isRecording() ? trace.setSpan(context, parent) : undefined;
  }

  get ids(): TraceIds {
    const { traceId, spanId } = this.#parent.spanContext();
    return { traceId, spanId };
  }

  attemptBegins(address: BackendAddress): void {
    if (this.#context === undefined) return;
    this.#end();
    this.#address = address;
    const options: SpanOptions = {
      kind: SpanKind.CLIENT,
      attributes: attemptAttributes(address, this.#attempts++),
    };
    this.#current = this.#tracer.startSpan("HTTP", options, this.#context);
  }

  forward(fields: string[], method: string, path: string): void {
    const span = this.#current;
    if (span !== undefined && this.#address !== undefined) {
      span.updateName(methodName(method));
      span.setAttributes(sentAttributes(method, this.#address, path));
    }
    writeContext(fields, (span ?? this.#parent).spanContext());
  }

  attemptAnswered(status: number): void {
    if (this.#current !== undefined) noteStatus(this.#current, status);
    this.#end();
  }

  attemptFailed(type: string): void {
    if (this.#current !== undefined) fail(this.#current, type);
    this.#end();
  }

  #end(): void {
    this.#current?.end();
    this.#current = undefined;
  }
}
