import { STATUS_CODES } from "node:http";
import { Readable } from "node:stream";
import type { Exchange } from "../exchange/exchange.ts";
import { ReadableSource } from "../http/readable-source.ts";
import type { Source } from "../http/source.ts";

/** A part of a body that sluice makes itself, and the time to wait before it, in ms. */
export interface TimedPart {
  readonly after: number;
  /** Returns the bytes; called when the part is sent. */
  readonly block: () => Buffer;
}

/** Returns a response without a backend; `next` returns its body part by part, and undefined at the end. */
export function timedSource(
  exchange: Exchange,
  { status, fields }: { readonly status: number; readonly fields: Readonly<Record<string, string>> },
  next: () => TimedPart | undefined,
): Source {
  const body = new TimedBody(next);
  const head = { status, reason: STATUS_CODES[status] ?? "", rawHeaders: Object.entries(fields).flat() };
  return new ReadableSource(head, body, exchange);
}

/** A body of timed parts: read and paused like a backend's. */
class TimedBody extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #next: () => TimedPart | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(next: () => TimedPart | undefined) {
    super();
    this.#next = next;
  }

  /** Node calls this again only after the pushed part has been read, so a slow client pauses the timers too. */
  override _read(): void {
    const part = this.#next();
    if (part === undefined) this.push(null);
    else if (part.after === 0) this.push(part.block());
    else this.#timer = setTimeout(() => this.push(part.block()), part.after);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    done(error);
  }
}
