import { STATUS_CODES } from "node:http";
import type {
  FixedAnswerConfig,
  MockConfig,
  ScriptConfig,
  ScriptEventConfig,
} from "../config/mock-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";
import { takeParameter } from "../http/query.ts";
import { ReadableSource } from "../http/readable-source.ts";
import type { Source } from "../http/source.ts";
import { renderEventBlock } from "../sse/event-block.ts";
import { Script, type Step } from "./script.ts";

/** Answers a route's requests without a backend; what it answers goes the way of a backend's answer. */
export interface Mock {
  open(exchange: Exchange): Source;
}

/** Compiles the `mock` of a route. */
export function createMock(config: MockConfig): Mock {
  return "events" in config ? createScript(config) : createFixedAnswer(config);
}

function createFixedAnswer({ status, headers, body }: FixedAnswerConfig): Mock {
  const isText = typeof body === "string";
  const bytes = Buffer.from(body === undefined ? "" : isText ? body : JSON.stringify(body));
  const isBodyless = status === 204 || status === 304;
  const type = isText ? "text/plain; charset=utf-8" : "application/json";
  const fields = {
    ...(body !== undefined && !isBodyless && { "Content-Type": type }),
    ...headers,
    ...(!isBodyless && { "Content-Length": String(bytes.length) }),
  };
  return {
    open: (exchange) => {
      const isSent = !isBodyless && exchange.request.method !== "HEAD";
      const steps = isSent ? [{ block: () => bytes, after: 0 }] : [];
      return sourceOf(exchange, { status, fields }, through(steps, 0, false));
    },
  };
}

function createScript({ headers, events, repeat }: ScriptConfig): Mock {
  const steps = events.map((event): Step => {
    const block = Buffer.from(blockOf(event));
    return { block: () => block, after: event.after ?? 0 };
  });
  const head = { status: 200, fields: { ...headers, "Content-Type": "text/event-stream" } };
  return {
    open: (exchange) => {
      const seen = lastEventId(exchange);
      const begin = seen === "" ? 0 : 1 + events.findIndex(({ id }) => id === seen);
      // The whole script was seen: 204 tells an EventSource not to come back (WHATWG HTML, section 9.2.3).
      if (begin === events.length && !repeat) return sourceOf(exchange, { status: 204, fields: {} }, nothing);
      if (exchange.request.method === "HEAD") return sourceOf(exchange, head, nothing);
      return sourceOf(exchange, head, through(steps, begin, repeat));
    },
  };
}

function blockOf({ data, ...rest }: ScriptEventConfig): string {
  const text = data === undefined || typeof data === "string" ? data : JSON.stringify(data);
  return renderEventBlock({ ...rest, data: text });
}

/** As EventSource sends it, or as polyfills do that cannot set the field; empty when there is none. */
function lastEventId({ request, target, lastEventId: taken }: Exchange): string {
  const field = fieldValue(request.rawHeaders, "last-event-id") ?? taken;
  // Ids travel in UTF-8 (WHATWG HTML, section 9.2.2), and Node reads fields as latin1.
  if (field !== undefined) return Buffer.from(field, "latin1").toString("utf8");
  return takeParameter(target.query, "lastEventId").values[0] ?? "";
}

/** Goes through `steps` from `begin` on, and round and round where it `repeats`. */
function through(steps: readonly Step[], begin: number, repeats: boolean): () => Step | undefined {
  let next = begin;
  return () => {
    if (next === steps.length && repeats) next = 0;
    next += 1;
    return steps[next - 1];
  };
}

/** An answer whose body is what `next` returns, part by part. `exchange` ends with a fault of who takes it. */
export function sourceOf(
  exchange: Exchange,
  { status, fields }: { readonly status: number; readonly fields: Readonly<Record<string, string>> },
  next: () => Step | undefined,
): Source {
  const body = new Script(next);
  const head = { status, reason: STATUS_CODES[status] ?? "", rawHeaders: Object.entries(fields).flat() };
  return new ReadableSource(head, body, exchange);
}

const nothing = (): undefined => undefined;
