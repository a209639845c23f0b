import { textCost } from "./history-ids.ts";
import type { StoredEvent } from "./store.ts";

/** A larger block gets a page for itself, which is the block: nothing is copied, and nothing is left empty. */
const MAX_COPIED_BYTES = 4 * 1024;

/** The least and the most that a page for several blocks is made for. */
const MIN_PAGE_BYTES = 1024;
const MAX_PAGE_BYTES = 64 * 1024;

/**
 * What a page costs beside its bytes: the objects of the page, of its buffer and its lists, and what the allocator adds.
 * Measured, as all of these: `test/integration/history-bytes-count-memory.test.ts`.
 */
const PAGE_COST = 500;
/** What an event costs in the lists of a page, the room in them that is not used yet included. */
const EVENT_COST = 20;
const ID_COST = 10;

/** An event as a page takes it. */
export interface PagedEvent extends Pick<StoredEvent, "backendId" | "block" | "at"> {
  /** Undefined for one that says its own position. */
  readonly id: string | undefined;
}

/**
 * Events of a history that follow one another: their blocks in one buffer, the rest in lists of numbers.
 *
 * An object and a buffer for each event took ten times the bytes of an event as short as a token. What is in the buffer
 * is never written over, so clients can be given parts of it.
 */
export class HistoryPage {
  /** The position of its first event. */
  readonly firstSeq: number;
  /** Bytes of all blocks that the history had had before this page. */
  readonly before: number;
  /** It is one for several blocks. */
  readonly isShared: boolean;
  /** What it takes of the memory. */
  cost: number;
  readonly #bytes: Buffer;
  readonly #since: number;
  /** For each event, where its block ends. */
  #ends: number[] = [];
  /** For each event, when it was appended, in ms since the first of the page. */
  #times: number[] = [];
  /** Made with the first that has one to say. */
  #ids: (string | undefined)[] | undefined;
  #backendIds: string[] | undefined;

  /** A page for a first event; pages for several blocks grow with the `sharedBytes` that the history has in such. */
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
    // A page for one block alone is that block.
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
      // One text for both, where they are the same.
      this.#backendIds = appended(before, backendId === id ? id : backendId, this.isShared);
      this.cost += ID_COST + (isNew ? textCost(backendId) : 0);
    }
  }

  /** The id of an event, unless it says its own position. */
  idAt(index: number): string | undefined {
    return this.#ids?.[index];
  }

  backendIdAt(index: number): string {
    return this.#backendIds?.[index] ?? "";
  }

  timeAt(index: number): number {
    return this.#since + (this.#times[index] ?? 0);
  }

  /** Where the block of an event begins; behind the last one, where that ends. */
  startOf(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] ?? 0);
  }

  lengthOf(index: number): number {
    return this.startOf(index + 1) - this.startOf(index);
  }

  /** The blocks of events from one index up to another, as they follow one another; not to be changed. */
  blocks(from: number, to: number): Buffer {
    return this.#bytes.subarray(this.startOf(from), this.startOf(to));
  }

  /** How many events from an index on are in so many bytes; at least one. */
  countIn(index: number, bytes: number): number {
    const limit = this.startOf(index) + bytes;
    let to = index + 1;
    while (to < this.count && this.startOf(to + 1) <= limit) to++;
    return to - index;
  }

  /** Lets go of the id of an event that was evicted. */
  forget(index: number): void {
    if (this.#ids !== undefined) this.#ids[index] = undefined;
  }

  #listOf<T>(count: number, value: T): T[] {
    this.cost += count * ID_COST;
    return Array.from({ length: count }, () => value);
  }
}

/** The list with one more; a list that stays that long gets no room for others, which is that of sixteen. */
function appended<T>(list: T[], value: T, grows: boolean): T[] {
  if (!grows) return [value];
  list.push(value);
  return list;
}

/** Not a part of something larger, which would be kept with it. */
function owned(block: Buffer): Buffer {
  if (block.length === block.buffer.byteLength) return block;
  const copy = Buffer.allocUnsafeSlow(block.length);
  block.copy(copy);
  return copy;
}
