import { type Context, ROOT_CONTEXT, type SpanContext, trace } from "@opentelemetry/api";
import { parseTraceParent, TRACE_PARENT_HEADER, TRACE_STATE_HEADER, TraceState } from "@opentelemetry/core";
import { ownText } from "../base/own-text.ts";
import { fieldValues, type RawFields, removeField } from "../http/fields.ts";

/**
 * Returns the trace context of a request (W3C Trace Context), for its span's parent; the root without a valid one.
 *
 * Two traceparent fields are invalid (section 3.2); several tracestate fields form one list (section 3.3.1).
 */
export function readContext(raw: RawFields): Context {
  const [text, ...more] = fieldValues(raw, TRACE_PARENT_HEADER);
  const parent = text === undefined || more.length > 0 ? null : parseTraceParent(ownText(text));
  if (parent === null) return ROOT_CONTEXT;
  const state = fieldValues(raw, TRACE_STATE_HEADER).join(",");
  const traceState = state === "" ? undefined : new TraceState(ownText(state));
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...parent,
    isRemote: true,
    ...(traceState !== undefined && { traceState }),
  });
}

/** Puts a trace context, in place, into a request's fields instead of the client's. */
export function writeContext(
  fields: string[],
  { traceId, spanId, traceFlags, traceState }: SpanContext,
): void {
  for (const name of [TRACE_PARENT_HEADER, TRACE_STATE_HEADER]) removeField(fields, name);
  fields.push(TRACE_PARENT_HEADER, `00-${traceId}-${spanId}-${traceFlags === 0 ? "00" : "01"}`);
  const state = traceState?.serialize() ?? "";
  if (state !== "") fields.push(TRACE_STATE_HEADER, state);
}
