import { Boundary } from "../sse/boundary.ts";
import { ByteOrderMark } from "../sse/byte-order-mark.ts";
import { readEvent } from "../sse/event-fields.ts";
import { PartialBytes } from "./partial-bytes.ts";
import type { PartReader, Parts } from "./parts.ts";

const LF = 0x0a;
const CR = 0x0d;

/** Splits an event stream into the data of its events, whatever its chunks are. */
export class EventParts implements Parts {
  readonly #reader: PartReader;
  readonly #partial: PartialBytes;
  readonly #boundary = new Boundary();
  readonly #mark = new ByteOrderMark();
  /** The number of reads that were skipped as whole events. */
  #skipped = 0;

  constructor(reader: PartReader, maxBytes: number) {
    this.#reader = reader;
    this.#partial = new PartialBytes(maxBytes);
  }

  /** At least the number of events: a read of several events that is skipped counts as one. */
  get count(): number {
    return this.#boundary.events + this.#skipped;
  }

  get hasSkipped(): boolean {
    return this.#partial.hasSkipped;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    if (!this.#mark.isOver) {
      const rest = this.#mark.strip(bytes.subarray(start, end));
      this.#split(rest, 0, rest.length);
    } else if (
      this.#partial.isEmpty &&
      endsWithEvent(bytes, start, end) &&
      !this.#reader.wants(bytes.subarray(start, end))
    ) {
      // Most reads of a stream are one whole event, which needs no scan of each byte.
      this.#skipped++;
    } else {
      this.#split(bytes, start, end);
    }
  }

  #split(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const stop = this.#boundary.scan(bytes, at, end, true);
      const part = bytes.subarray(at, stop);
      at = stop;
      if (this.#boundary.isAtBoundary) this.#read(part);
      else this.#partial.hold(part);
    }
  }

  #read(end: Buffer): void {
    const block = this.#partial.complete(end);
    if (block === undefined || !this.#reader.wants(block)) return;
    const data = readEvent(block)?.data;
    if (data !== undefined) this.#reader.read(data);
  }
}

/** Whether the bytes end with an empty line behind LF line ends; a stream with other line ends is scanned. */
function endsWithEvent(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 4 || bytes[end - 1] !== LF) return false;
  const before = bytes[end - 2];
  return before === LF || (before === CR && bytes[end - 3] === LF);
}
