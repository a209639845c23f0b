import { Boundary } from "../sse/boundary.ts";
import { ByteOrderMark } from "../sse/byte-order-mark.ts";

/** One event: its bytes, and the times of the reads with the first and the last of them. */
export interface TimedEvent {
  readonly bytes: Buffer;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Receives the parts of a stream. */
export interface SplitterOutput {
  onEvent(event: TimedEvent): void;
  /** A comment line, such as a heartbeat. */
  onComment(at: number): void;
}

/** Splits a decoded body into events, regardless of the boundaries of the reads. */
export interface Splitter {
  feed(bytes: Buffer, at: number): void;
}

/** The bytes of an incomplete event. */
class Pending {
  #parts: Buffer[] = [];
  #firstAt = 0;

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  add(bytes: Buffer, at: number): void {
    if (bytes.length === 0) return;
    if (this.isEmpty) this.#firstAt = at;
    this.#parts.push(Buffer.from(bytes));
  }

  take(lastAt: number): TimedEvent {
    const event = { bytes: Buffer.concat(this.#parts), firstAt: this.#firstAt, lastAt };
    this.#parts = [];
    return event;
  }
}

/** Splits text/event-stream. Excludes comment lines between events, because each hop may add its own. */
export class SseSplitter implements Splitter {
  readonly #output: SplitterOutput;
  readonly #mark = new ByteOrderMark();
  readonly #boundary = new Boundary();
  readonly #pending = new Pending();

  constructor(output: SplitterOutput) {
    this.#output = output;
  }

  feed(received: Buffer, at: number): void {
    const bytes = this.#mark.strip(received);
    for (let from = 0; from < bytes.length; ) {
      const before = this.#boundary.events;
      const to = this.#boundary.scan(bytes, from, bytes.length, true);
      this.#take(bytes.subarray(from, to), at, this.#boundary.events > before);
      from = to;
    }
  }

  #take(part: Buffer, at: number, endsEvent: boolean): void {
    // The LF of a CRLF whose CR ended the previous event.
    const own = this.#pending.isEmpty ? withoutLineEnds(part) : part;
    this.#pending.add(own, at);
    if (endsEvent) this.#output.onEvent(this.#pending.take(at));
    else if (this.#boundary.isAtBoundary && !this.#pending.isEmpty) {
      this.#pending.take(at);
      this.#output.onComment(at);
    }
  }
}

const LF = 0x0a;
const CR = 0x0d;
/** Begins each text of a JSON text sequence (RFC 7464). */
const RECORD_SEPARATOR = 0x1e;

function withoutLineEnds(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length && (bytes[from] === LF || bytes[from] === CR)) from += 1;
  return bytes.subarray(from);
}

/** Splits a stream whose events are lines: NDJSON, JSON text sequences. Empty lines are heartbeats. */
export class LineSplitter implements Splitter {
  readonly #output: SplitterOutput;
  readonly #pending = new Pending();

  constructor(output: SplitterOutput) {
    this.#output = output;
  }

  feed(bytes: Buffer, at: number): void {
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(LF, from);
      this.#pending.add(bytes.subarray(from, end < 0 ? bytes.length : end), at);
      if (end < 0) return;
      this.#endLine(at);
      from = end + 1;
    }
  }

  #endLine(at: number): void {
    const event = this.#pending.isEmpty ? undefined : this.#pending.take(at);
    const isEmpty =
      event === undefined || event.bytes.every((byte) => byte === CR || byte === RECORD_SEPARATOR);
    if (isEmpty) this.#output.onComment(at);
    else this.#output.onEvent(event);
  }
}
