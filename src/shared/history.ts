import { type Batch, batchFrom } from "./batch.ts";
import { madeSeq, makeId } from "./event-id.ts";
import type { HistoryBudget } from "./history-budget.ts";
import { HistoryIds } from "./history-ids.ts";
import { HistoryPage } from "./history-page.ts";
import type { HistoryBounds, StoredEvent, StreamRecord } from "./store.ts";

/** What a history costs once it holds something: its lists, its tables, and its place among the others. */
const HISTORY_COST = 500;

/**
 * The events of one stream that can still be had, in the order of their positions.
 *
 * Clients are positions in it: whoever is behind is given what lies between, live or replayed, so that the two
 * cannot leave a gap or overlap, and a slow client costs no memory of its own.
 */
export class History {
  readonly #bounds: HistoryBounds;
  readonly #budget: HistoryBudget | undefined;
  #epoch = "";
  /** Oldest first; none of them is empty. */
  #pages: HistoryPage[] = [];
  #firstSeq = 1;
  #lastSeq = 0;
  #bytes = 0;
  /** Those of them that are in pages for several. */
  #sharedBytes = 0;
  /** Bytes of all blocks there ever were. */
  #total = 0;
  #heldBytes = 0;
  /** The id of the newest event that was evicted: whoever saw that one has missed nothing yet. */
  #evictedId: string | undefined;
  readonly #ids = new HistoryIds();
  /** What was joined in this turn, so that clients at the same position share one buffer. */
  readonly #batches = new Map<number, Batch>();

  constructor(bounds: HistoryBounds, budget?: HistoryBudget) {
    this.#bounds = bounds;
    this.#budget = budget;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The oldest position that is held; one past `lastSeq` when none is. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** What it takes of the memory, its blocks and all that goes with them. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isEmpty(): boolean {
    return this.#pages.length === 0;
  }

  /** The id that a client has after every event so far. */
  get lastId(): string {
    return this.#idAt(this.#lastSeq) ?? this.#evictedId ?? this.positionId(this.#lastSeq);
  }

  /** Takes another record's events in place of its own. */
  reset({ epoch, lastSeq, events }: StreamRecord): void {
    this.clear();
    this.#epoch = epoch;
    this.#lastSeq = lastSeq - events.length;
    this.#firstSeq = this.#lastSeq + 1;
    this.#evictedId = undefined;
    for (const event of events) this.push(event);
  }

  /**
   * Appends; nothing is evicted before `trim`, so that what came in one turn can leave first. The block is copied, or
   * taken over where it is large.
   */
  push({ seq, id, backendId, block, at }: StoredEvent): void {
    const own = madeSeq(this.#epoch, id) === seq ? undefined : id;
    const event = { id: own, backendId, block, at };
    let page = this.#pages.at(-1);
    const before = page?.cost ?? 0;
    let grown = page === undefined ? HISTORY_COST : -before;
    if (page?.hasRoomFor(block) !== true) {
      grown = page === undefined ? HISTORY_COST : 0;
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

  /** The event at a position, made for whoever asks; undefined when it is not held. */
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

  /** What is held behind a position, oldest first. */
  after(seq: number): StoredEvent[] {
    return [...this.eachAfter(seq)];
  }

  /** The same, one by one as they are asked for. */
  *eachAfter(seq: number): Generator<StoredEvent, void> {
    for (let next = Math.max(seq + 1, this.#firstSeq); ; next++) {
      const event = this.at(next);
      if (event === undefined) return;
      yield event;
    }
  }

  /** Whether an event of that id is held. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /**
   * The position that a client with this id has; undefined when what followed it is not known, or no longer
   * held whole. Every byte counts: ids are compared, never read, but for those that we made ourselves.
   */
  seqOf(id: string): number | undefined {
    const seq = this.#ids.get(id);
    if (seq !== undefined) return seq;
    const oldest = this.#firstSeq - 1;
    if (id === this.#evictedId) return oldest;
    const made = madeSeq(this.#epoch, id);
    return made !== undefined && made >= oldest && made <= this.#lastSeq ? made : undefined;
  }

  /** An id for a position as such, whether or not an event has it. */
  positionId(seq: number): string {
    return makeId(this.#epoch, seq);
  }

  /** Bytes of the events behind a position; Infinity when some of them are gone. */
  bytesAfter(seq: number): number {
    if (seq < this.#firstSeq - 1) return Number.POSITIVE_INFINITY;
    const page = this.#pageOf(seq);
    // Of the position right before the oldest event there is no page any more.
    if (page === undefined) return seq < this.#firstSeq ? this.#bytes : 0;
    return this.#total - page.before - page.startOf(seq - page.firstSeq + 1);
  }

  /** The next write for a client at a position behind the newest; undefined when what comes next is gone. */
  batchAfter(seq: number): Batch | undefined {
    const known = this.#batches.get(seq);
    if (known !== undefined) return known;
    const batch = batchFrom(seq + 1, (next) => this.#pageOf(next));
    if (batch !== undefined) this.#batches.set(seq, batch);
    return batch;
  }

  /** Forgets what was joined; to be called once in each turn that joined something. */
  releaseBatches(): void {
    this.#batches.clear();
  }

  /**
   * Evicts what is beyond the bounds, but nothing behind `neededSeq`: a client that is a little late would lose
   * it although its own bound allows for more.
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

  /** Evicts the oldest events until so many bytes of memory are free, for histories that are used more. */
  shed(bytes: number): void {
    const wanted = this.#heldBytes - bytes;
    for (let page = this.#pages[0]; page !== undefined; page = this.#pages[0]) {
      if (this.#heldBytes <= wanted) break;
      this.#evict(page);
    }
  }

  /** Says that it is in use, so that others are evicted first. */
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

  /** Forgets everything, and gives its share of the memory back. */
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
      freed += page.cost + (this.#pages.length === 0 ? HISTORY_COST : 0);
    }
    this.#grow(-freed);
  }

  #idAt(seq: number): string | undefined {
    const page = this.#pageOf(seq);
    return page && (page.idAt(seq - page.firstSeq) ?? this.positionId(seq));
  }

  /** The page of a position that is held. */
  #pageOf(seq: number): HistoryPage | undefined {
    if (seq < this.#firstSeq || seq > this.#lastSeq) return undefined;
    let [low, high] = [0, this.#pages.length - 1];
    // Most look for what came last.
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
