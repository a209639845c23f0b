import { type Batch, batchFrom } from "./batch.ts";
import { madeSeq, makeId } from "./event-id.ts";
import type { HistoryBudget } from "./history-budget.ts";
import { HistoryIds } from "./history-ids.ts";
import { HistoryPage } from "./history-page.ts";
import type { HistoryBounds, StoredEvent, StreamRecord } from "./store.ts";

/** Bytes of a history that is not empty, without its pages: its lists, its tables and its entry in the budget. */
const HISTORY_COST = 500;

/**
 * The kept events of one stream, in the order of their positions.
 *
 * A client is a position in it, and is given the events behind that position, replayed or live alike. So replayed and
 * live events cannot leave a gap or overlap, and a slow client costs no memory of its own.
 */
export class History {
  readonly #bounds: HistoryBounds;
  readonly #budget: HistoryBudget | undefined;
  readonly #ownBytes: number;
  #epoch = "";
  /** Oldest first; no page is empty. */
  #pages: HistoryPage[] = [];
  #firstSeq = 1;
  #lastSeq = 0;
  #bytes = 0;
  /** The part of `#bytes` in shared pages. */
  #sharedBytes = 0;
  /** Bytes of all blocks that were ever appended. */
  #total = 0;
  #heldBytes = 0;
  /** The id of the newest evicted event: a client that has seen it has missed nothing yet. */
  #evictedId: string | undefined;
  readonly #ids = new HistoryIds();
  /** The batches of this turn, by the position before them, so that clients at the same position share one buffer. */
  readonly #batches = new Map<number, Batch>();

  /** `ownBytes`: the memory of its owner, counted as long as it is not empty. */
  constructor(bounds: HistoryBounds, budget?: HistoryBudget, ownBytes = 0) {
    this.#bounds = bounds;
    this.#budget = budget;
    this.#ownBytes = HISTORY_COST + ownBytes;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The oldest held position; `lastSeq` + 1 if the history is empty. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** Bytes of memory that it takes: its blocks and everything that goes with them. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isEmpty(): boolean {
    return this.#pages.length === 0;
  }

  /** The id of a client that has seen all events so far. */
  get lastId(): string {
    return this.#idAt(this.#lastSeq) ?? this.#evictedId ?? this.positionId(this.#lastSeq);
  }

  /** Replaces its events with those of another record. */
  reset({ epoch, lastSeq, events }: StreamRecord): void {
    this.clear();
    this.#epoch = epoch;
    this.#lastSeq = lastSeq - events.length;
    this.#firstSeq = this.#lastSeq + 1;
    this.#evictedId = undefined;
    for (const event of events) this.push(event);
  }

  /**
   * Appends an event. Nothing is evicted before `trim`, so that the events of one turn can be delivered first. A small
   * block is copied; a large one is kept itself and must not change.
   */
  push({ seq, id, backendId, block, at }: StoredEvent): void {
    const own = madeSeq(this.#epoch, id) === seq ? undefined : id;
    const event = { id: own, backendId, block, at };
    let page = this.#pages.at(-1);
    const before = page?.cost ?? 0;
    let grown = page === undefined ? this.#ownBytes : -before;
    if (page?.hasRoomFor(block) !== true) {
      grown = page === undefined ? this.#ownBytes : 0;
      page = new HistoryPage(seq, this.#total, event, this.#sharedBytes);
      this.#pages.push(page);
    }
    page.push(event);
    grown += page.cost;
    this.#lastSeq = seq;
    this.#bytes += block.length;
    if (page.isShared) this.#sharedBytes += block.length;
    this.#total += block.length;
    if (own !== undefined) grown += this.#ids.add(own, seq);
    this.#grow(grown);
  }

  /** Returns the event at a position, as a new object; undefined if it is not held. */
  at(seq: number): StoredEvent | undefined {
    const page = this.#pageOf(seq);
    if (page === undefined) return undefined;
    const index = seq - page.firstSeq;
    return {
      seq,
      id: page.idAt(index) ?? this.positionId(seq),
      backendId: page.backendIdAt(index),
      block: page.blocks(index, index + 1),
      at: page.timeAt(index),
    };
  }

  /** Returns the held events behind a position, oldest first. */
  after(seq: number): StoredEvent[] {
    return [...this.eachAfter(seq)];
  }

  /** The same as a generator, which makes one event at a time. */
  *eachAfter(seq: number): Generator<StoredEvent, void> {
    for (let next = Math.max(seq + 1, this.#firstSeq); ; next++) {
      const event = this.at(next);
      if (event === undefined) return;
      yield event;
    }
  }

  /** Whether an event with this id of a backend is held. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /**
   * Returns the position of a client with this id; undefined if the id is unknown, or if events behind it were evicted.
   * Ids are compared byte for byte and never parsed, except for those that this record made.
   */
  seqOf(id: string): number | undefined {
    const seq = this.#ids.get(id);
    if (seq !== undefined) return seq;
    const oldest = this.#firstSeq - 1;
    if (id === this.#evictedId) return oldest;
    const made = madeSeq(this.#epoch, id);
    return made !== undefined && made >= oldest && made <= this.#lastSeq ? made : undefined;
  }

  /** Returns the id that this record makes for a position, whether or not an event has it. */
  positionId(seq: number): string {
    return makeId(this.#epoch, seq);
  }

  /** Returns the bytes of the events behind a position; Infinity if some of them were evicted. */
  bytesAfter(seq: number): number {
    if (seq < this.#firstSeq - 1) return Number.POSITIVE_INFINITY;
    const page = this.#pageOf(seq);
    // The position right before the oldest event has no page any more.
    if (page === undefined) return seq < this.#firstSeq ? this.#bytes : 0;
    return this.#total - page.before - page.startOf(seq - page.firstSeq + 1);
  }

  /** Returns the next batch for a client at a position before the newest; undefined if its next event was evicted. */
  batchAfter(seq: number): Batch | undefined {
    const known = this.#batches.get(seq);
    if (known !== undefined) return known;
    const batch = batchFrom(seq + 1, (next) => this.#pageOf(next));
    if (batch !== undefined) this.#batches.set(seq, batch);
    return batch;
  }

  /** Releases the batches; to be called in each turn that used `batchAfter`. */
  releaseBatches(): void {
    // V8 makes a new table even for an empty map, and old tables keep each other until a full garbage collection.
    if (this.#batches.size > 0) this.#batches.clear();
  }

  /**
   * Evicts the events beyond the bounds, but keeps all events after `neededSeq`: a client that is behind, but within
   * `stream.clientBuffer`, still needs them.
   */
  trim(now: number, neededSeq = Number.POSITIVE_INFINITY): void {
    const { events, bytes, ageMs } = this.#bounds;
    for (let page = this.#pages[0]; page !== undefined; page = this.#pages[0]) {
      if (this.#firstSeq > neededSeq) break;
      const isOver = this.#lastSeq - this.#firstSeq >= events || this.#bytes > bytes;
      if (!isOver && page.timeAt(this.#firstSeq - page.firstSeq) >= now - ageMs) break;
      this.#evict(page);
    }
  }

  /** Evicts the oldest events until so many bytes are freed, for histories that were used more recently. */
  shed(bytes: number): void {
    const wanted = this.#heldBytes - bytes;
    for (let page = this.#pages[0]; page !== undefined; page = this.#pages[0]) {
      if (this.#heldBytes <= wanted) break;
      this.#evict(page);
    }
  }

  /** Marks this history as used, so that others are evicted from first. */
  touch(): void {
    this.#budget?.touch(this);
  }

  clear(): void {
    this.#grow(-this.#heldBytes);
    this.#pages = [];
    this.#bytes = 0;
    this.#sharedBytes = 0;
    this.#firstSeq = this.#lastSeq + 1;
    this.#ids.clear();
    this.#batches.clear();
  }

  /** Removes all events, and this history from the budget. */
  close(): void {
    this.clear();
    this.#budget?.remove(this);
  }

  #evict(page: HistoryPage): void {
    const seq = this.#firstSeq;
    const index = seq - page.firstSeq;
    const own = page.idAt(index);
    this.#evictedId = own ?? this.positionId(seq);
    this.#firstSeq += 1;
    this.#bytes -= page.lengthOf(index);
    let freed = 0;
    if (own !== undefined) {
      page.forget(index);
      freed += this.#ids.remove(own, seq);
    }
    if (index + 1 === page.count) {
      this.#pages.shift();
      if (page.isShared) this.#sharedBytes -= page.length;
      freed += page.cost + (this.#pages.length === 0 ? this.#ownBytes : 0);
    }
    this.#grow(-freed);
  }

  #idAt(seq: number): string | undefined {
    const page = this.#pageOf(seq);
    return page && (page.idAt(seq - page.firstSeq) ?? this.positionId(seq));
  }

  /** Returns the page of a position; undefined if the position is not held. */
  #pageOf(seq: number): HistoryPage | undefined {
    if (seq < this.#firstSeq || seq > this.#lastSeq) return undefined;
    let [low, high] = [0, this.#pages.length - 1];
    // Most callers look for the newest event.
    if (seq >= (this.#pages[high]?.firstSeq ?? 0)) return this.#pages[high];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#pages[middle]?.firstSeq ?? 0) <= seq) low = middle;
      else high = middle - 1;
    }
    return this.#pages[low];
  }

  #grow(bytes: number): void {
    this.#heldBytes += bytes;
    this.#budget?.grow(this, bytes);
  }
}
