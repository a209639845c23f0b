import { textCost } from "./history-ids.ts";
import type { StoredEvent } from "./store.ts";

/** A larger block becomes a page of its own: it is not copied, and the page has no unused room. */
const MAX_COPIED_BYTES = 4 * 1024;

/** Bounds of the size of a page for several blocks. */
const MIN_PAGE_BYTES = 1024;
const MAX_PAGE_BYTES = 64 * 1024;

/**
 * Bytes of a page beside its blocks: the objects of the page, of its buffer and its lists, and the allocator's overhead.
 * All costs here are measured: `test/integration/history-bytes-count-memory.test.ts`.
 */
const PAGE_COST = 500;
/** Bytes of an event in the lists of a page, with the lists' spare room. */
const EVENT_COST = 20;
const ID_COST = 10;

/** An event to append to a page. */
export interface PagedEvent extends Pick<StoredEvent, "backendId" | "block" | "at"> {
  /** Undefined for an id that the record made: it follows from the position. */
  readonly id: string | undefined;
}

/**
 * Consecutive events of a history: their blocks in one buffer, the rest in lists of numbers.
 *
 * An object and a buffer for each event took ten times the bytes of an event as short as one token of a language model.
 * Written bytes of the buffer never change, so clients can be given parts of it.
 */
export class HistoryPage {
  /** The position of its first event. */
  readonly firstSeq: number;
  /** Bytes of all blocks that the history was ever given before this page. */
  readonly before: number;
  /** Whether it is a page for several blocks. */
  readonly isShared: boolean;
  /** Bytes of memory that it takes. */
  cost: number;
  readonly #bytes: Buffer;
  readonly #since: number;
  /** The end of each event's block in the buffer. */
  #ends: number[] = [];
  /** When each event was appended, in ms since the page's first event. */
  #times: number[] = [];
  /** Undefined until the page has an event with an id of the backend. */
  #ids: (string | undefined)[] | undefined;
  #backendIds: string[] | undefined;

  /** Makes a page for a first event; its size grows with `sharedBytes`, the bytes that the history has in shared pages. */
  constructor(firstSeq: number, before: number, { block, at }: PagedEvent, sharedBytes: number) {
    this.firstSeq = firstSeq;
    this.before = before;
    this.#since = at;
    this.isShared = block.length <= MAX_COPIED_BYTES;
    const wanted = Math.min(MAX_PAGE_BYTES, Math.max(MIN_PAGE_BYTES, sharedBytes >> 1, block.length));
    this.#bytes = this.isShared ? Buffer.allocUnsafeSlow(wanted) : owned(block);
    this.cost = PAGE_COST + this.#bytes.length;
  }

  get count(): number {
    return this.#ends.length;
  }

  /** Bytes of its blocks. */
  get length(): number {
    return this.#ends.at(-1) ?? 0;
  }

  hasRoomFor(block: Buffer): boolean {
    return this.length + block.length <= this.#bytes.length;
  }

  push({ id, backendId, block, at }: PagedEvent): void {
    const start = this.length;
    // The buffer of a page for a single block is the block itself.
    if (block !== this.#bytes) block.copy(this.#bytes, start);
    const { count } = this;
    this.#ends = appended(this.#ends, start + block.length, this.isShared);
    this.#times = appended(this.#times, at - this.#since, this.isShared);
    this.cost += EVENT_COST;
    if (id !== undefined || this.#ids !== undefined) {
      this.#ids = appended(this.#ids ?? this.#listOf(count, undefined), id, this.isShared);
      this.cost += ID_COST;
    }
    if (backendId !== "" || this.#backendIds !== undefined) {
      const before = this.#backendIds ?? this.#listOf(count, "");
      const isNew = backendId !== id && backendId !== (before[count - 1] ?? "");
      // If both ids are equal, the page keeps one string for both.
      this.#backendIds = appended(before, backendId === id ? id : backendId, this.isShared);
      this.cost += ID_COST + (isNew ? textCost(backendId) : 0);
    }
  }

  /** The id of an event; undefined for an id that the record made. */
  idAt(index: number): string | undefined {
    return this.#ids?.[index];
  }

  backendIdAt(index: number): string {
    return this.#backendIds?.[index] ?? "";
  }

  timeAt(index: number): number {
    return this.#since + (this.#times[index] ?? 0);
  }

  /** The start of an event's block; for the index behind the last event, the end of the last block. */
  startOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] ?? 0);
  }

  lengthOf(index: number): number {
    return this.startOf(index + 1) - this.startOf(index);
  }

  /** The joined blocks of the events from one index up to another; must not be changed. */
  blocks(from: number, to: number): Buffer {
    return this.#bytes.subarray(this.startOf(from), this.startOf(to));
  }

  /** How many events from an index on fit into so many bytes; at least one. */
  countIn(index: number, bytes: number): number {
    const limit = this.startOf(index) + bytes;
    let to = index + 1;
    while (to < this.count && this.startOf(to + 1) <= limit) to++;
    return to - index;
  }

  /** Releases the id of an evicted event. */
  forget(index: number): void {
    if (this.#ids !== undefined) this.#ids[index] = undefined;
  }

  #listOf<T>(count: number, value: T): T[] {
    this.cost += count * ID_COST;
    return Array.from({ length: count }, () => value);
  }
}

/** Returns the list with one more value. A list that stays at one gets no spare room: `push` makes room for sixteen. */
function appended<T>(list: T[], value: T, grows: boolean): T[] {
  if (!grows) return [value];
  list.push(value);
  return list;
}

/** Returns the block in a buffer of its own: a part of a larger buffer would keep all of it in memory. */
function owned(block: Buffer): Buffer {
  if (block.length === block.buffer.byteLength) return block;
  const copy = Buffer.allocUnsafeSlow(block.length);
  block.copy(copy);
  return copy;
}
