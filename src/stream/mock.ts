import type {
  FixedResponseConfig,
  MockConfig,
  ScriptConfig,
  ScriptEventConfig,
} from "../config/mock-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";
import { takeParameter } from "../http/query.ts";
import type { Source } from "../http/source.ts";
import { renderEventBlock } from "../sse/event-block.ts";
import { type TimedPart, timedSource } from "./timed-source.ts";

/** Answers a route's requests without a backend; its response is relayed like a backend's. */
export interface Mock {
  open(exchange: Exchange): Source;
}

/** Compiles the `mock` of a route. */
export function createMock(config: MockConfig): Mock {
  return "events" in config ? createScript(config) : createFixedResponse(config);
}

function createFixedResponse({ status, headers, body }: FixedResponseConfig): Mock {
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
      const parts = isSent ? [{ block: () => bytes, after: 0 }] : [];
      return timedSource(exchange, { status, fields }, through(parts, 0, false));
    },
  };
}

function createScript({ headers, events, repeat }: ScriptConfig): Mock {
  const parts = events.map((event): TimedPart => {
    const block = Buffer.from(blockOf(event));
    return { block: () => block, after: event.after ?? 0 };
  });
  const head = { status: 200, fields: { ...headers, "Content-Type": "text/event-stream" } };
  return {
    open: (exchange) => {
      const seen = lastEventId(exchange);
      const begin = seen === "" ? 0 : 1 + events.findIndex(({ id }) => id === seen);
      // The client has seen the whole script: 204 stops an EventSource (WHATWG HTML, section 9.2.3).
      if (begin === events.length && !repeat)
        return timedSource(exchange, { status: 204, fields: {} }, nothing);
      if (exchange.request.method === "HEAD") return timedSource(exchange, head, nothing);
      return timedSource(exchange, head, through(parts, begin, repeat));
    },
  };
}

function blockOf({ data, ...rest }: ScriptEventConfig): string {
  const text = data === undefined || typeof data === "string" ? data : JSON.stringify(data);
  return renderEventBlock({ ...rest, data: text });
}

/** Returns the id from Last-Event-ID or, for polyfills that cannot set the field, from the query; empty without one. */
function lastEventId({ request, target, lastEventId: taken }: Exchange): string {
  const field = fieldValue(request.rawHeaders, "last-event-id") ?? taken;
  // Clients send ids in UTF-8 (WHATWG HTML, section 9.2.2), and Node reads fields as latin1.
  if (field !== undefined) return Buffer.from(field, "latin1").toString("utf8");
  return takeParameter(target.query, "lastEventId").values[0] ?? "";
}

/** Returns a function that returns `parts` one by one from `begin` on, and starts again at the end if `repeats`. */
function through(parts: readonly TimedPart[], begin: number, repeats: boolean): () => TimedPart | undefined {
  let next = begin;
  return () => {
    if (next === parts.length && repeats) next = 0;
    next += 1;
    return parts[next - 1];
  };
}

const nothing = (): undefined => undefined;
