import { GrowingBytes } from "../base/growing-bytes.ts";
import { isUsableId } from "../shared/event-id.ts";
import type { Draft } from "../shared/store.ts";
import { Boundary } from "../sse/boundary.ts";
import { ByteOrderMark } from "../sse/byte-order-mark.ts";
import { readEventFields, withoutId } from "../sse/event-fields.ts";
import { positionId } from "./position-id.ts";

/** The longest id of a backend that clients are given: they send it back in a header field. */
const MAX_ID_BYTES = 1024;

export interface AnswerReaderOptions {
  /** Whether the body is an event stream, so that it can be cut between two events. */
  readonly hasEvents: boolean;
  /** Whether events without a usable id of the backend get an id of sluice. */
  readonly addsIds: boolean;
  /** Names the answer in the ids of sluice. */
  readonly generation: string;
  /** The longest incomplete event that waits for its end, in bytes. */
  readonly maxHeldBytes: number;
  /** Whether an event with this id of the backend is kept already. */
  hasId(id: string): boolean;
}

/**
 * Cuts the bytes of an answer into drafts: all events that came in one read are one draft, because a draft costs more
 * than a token. A draft ends behind an event with an id of the backend, so that the history finds the id.
 *
 * Nothing is dropped: comment lines and incomplete events are kept too.
 */
export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #mark = new ByteOrderMark();
  readonly #boundary = new Boundary();
  /** Event blocks up to the last boundary. */
  #takenEvents = 0;
  /** The part of an incomplete event from earlier reads. */
  #held: GrowingBytes | undefined;
  /** Whether the start of the current event was given away, because the event is too long. */
  #isInside = false;
  /** Ids of the backend in drafts of this read, which the history does not have yet. */
  readonly #used = new Set<string>();
  #drafts: Draft[] = [];
  #parts: Buffer[] = [];

  constructor(options: AnswerReaderOptions) {
    this.#options = options;
  }

  /** Reads a part of the body; returns the drafts that it completes, with bytes of their own. */
  feed(received: Buffer): readonly Draft[] {
    if (!this.#options.hasEvents) return [draftOf(received)];
    this.#used.clear();
    const bytes = this.#mark.strip(received);
    let from = 0;
    while (from < bytes.length) {
      const to = this.#boundary.scan(bytes, from, bytes.length, true);
      if (this.#boundary.isAtBoundary) this.#take(bytes.subarray(from, to));
      else this.#hold(bytes.subarray(from, to));
      from = to;
    }
    return this.#taken();
  }

  /** Returns the bytes that have waited for the end of their event; called when the body has ended. */
  rest(): readonly Draft[] {
    this.#used.clear();
    this.#give(this.#mark.rest());
    this.#giveHeld();
    return this.#taken();
  }

  /** Takes the bytes up to a boundary: the end of an event, or lines between two events. */
  #take(bytes: Buffer): void {
    // Not the events of this part of the read: a read may end between the CR and the LF that end an event.
    const isEvent = this.#boundary.events > this.#takenEvents;
    this.#takenEvents = this.#boundary.events;
    const isWhole = !this.#isInside;
    this.#isInside = false;
    const held = this.#held;
    this.#held = undefined;
    const block = held === undefined ? bytes : Buffer.concat([held.bytes, bytes]);
    if (!isEvent || !isWhole || !this.#options.addsIds) return void this.#give(block);
    const { id } = readEventFields(block);
    if (id !== undefined && this.#isNew(id)) {
      this.#parts.push(block);
      this.#cut(id);
    } else {
      const line = `id: ${positionId(this.#options.generation, this.#boundary.events)}\n`;
      this.#parts.push(Buffer.from(line, "latin1"));
      this.#give(id === undefined ? block : withoutId(block));
    }
  }

  #hold(bytes: Buffer): void {
    this.#held ??= new GrowingBytes();
    this.#held.add(bytes);
    if (this.#isInside || this.#held.length > this.#options.maxHeldBytes) {
      this.#isInside = true;
      this.#giveHeld();
    }
  }

  #giveHeld(): void {
    if (this.#held !== undefined) this.#give(this.#held.bytes);
    this.#held = undefined;
  }

  #give(bytes: Buffer): void {
    if (bytes.length > 0) this.#parts.push(bytes);
  }

  /** Ends the current draft; `id` is the backend's id of its last event. */
  #cut(id: string | undefined): void {
    if (this.#parts.length > 0) this.#drafts.push(draftOf(Buffer.concat(this.#parts), id));
    this.#parts = [];
  }

  #taken(): readonly Draft[] {
    this.#cut(undefined);
    const drafts = this.#drafts;
    this.#drafts = [];
    return drafts;
  }

  /** Whether an id is usable and belongs to no other event of the answer: a position must be found by it. */
  #isNew(id: string): boolean {
    if (id.length > MAX_ID_BYTES || !isUsableId(id) || this.#used.has(id)) return false;
    if (this.#options.hasId(id)) return false;
    this.#used.add(id);
    return true;
  }
}

/** Returns a draft of bytes that are borrowed: it keeps a copy, not from Node's pool, of which it would hold 8 KiB. */
function draftOf(bytes: Buffer, id?: string): Draft {
  const block = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(block);
  return { id, showsId: false, backendId: "", block };
}
