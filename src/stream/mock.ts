import { STATUS_CODES } from "node:http";
import { Readable } from "node:stream";
import { fieldValue } from "../base/fields.ts";
import { takeParameter } from "../base/query.ts";
import type {
  FixedAnswerConfig,
  MockConfig,
  ScriptConfig,
  ScriptEventConfig,
} from "../config/mock-schema.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { renderEventBlock } from "../sse/event-block.ts";
import { ReadableSource } from "../upstream/readable-source.ts";
import type { Source } from "../upstream/source.ts";

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
      return sourceOf(exchange, { status, fields }, isSent ? [{ block: bytes, after: 0 }] : []);
    },
  };
}

function createScript({ headers, events, repeat }: ScriptConfig): Mock {
  const steps = events.map(
    (event): Step => ({ block: Buffer.from(blockOf(event)), after: event.after ?? 0 }),
  );
  const head = { status: 200, fields: { ...headers, "Content-Type": "text/event-stream" } };
  return {
    open: (exchange) => {
      const seen = lastEventId(exchange);
      const begin = seen === "" ? 0 : 1 + events.findIndex(({ id }) => id === seen);
      // The whole script was seen: 204 tells an EventSource not to come back (WHATWG HTML, section 9.2.3).
      if (begin === events.length && !repeat) return sourceOf(exchange, { status: 204, fields: {} }, []);
      if (exchange.request.method === "HEAD") return sourceOf(exchange, head, []);
      return sourceOf(exchange, head, steps, { begin, repeat });
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

/** Bytes, and how long to wait before them. */
interface Step {
  readonly block: Buffer;
  readonly after: number;
}

function sourceOf(
  exchange: Exchange,
  { status, fields }: { readonly status: number; readonly fields: Readonly<Record<string, string>> },
  steps: readonly Step[],
  from: { readonly begin: number; readonly repeat: boolean } = { begin: 0, repeat: false },
): Source {
  const body = new Script(steps, from);
  const head = { status, reason: STATUS_CODES[status] ?? "", rawHeaders: Object.entries(fields).flat() };
  return new ReadableSource(head, body, exchange);
}

/** A written body: read like a backend's, paused like one. */
class Script extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #steps: readonly Step[];
  readonly #repeats: boolean;
  #next: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    steps: readonly Step[],
    { begin, repeat }: { readonly begin: number; readonly repeat: boolean },
  ) {
    super();
    this.#steps = steps;
    this.#repeats = repeat;
    this.#next = begin;
  }

  /** Called again only when what was pushed has been taken, so a slow client stops the script. */
  override _read(): void {
    if (this.#next === this.#steps.length && this.#repeats) this.#next = 0;
    const step = this.#steps[this.#next];
    this.#next += 1;
    if (step === undefined) this.push(null);
    else if (step.after === 0) this.push(step.block);
    else this.#timer = setTimeout(() => this.push(step.block), step.after);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    done(error);
  }
}
