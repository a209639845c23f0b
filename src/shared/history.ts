import { SharedBytes } from "../base/shared-bytes.ts";
import type { HistoryBudget } from "./history-budget.ts";
import type { HistoryBounds, StoredEvent, StreamRecord } from "./store.ts";

/** The most that leaves in one write, unless one event alone is longer. */
const BATCH_BYTES = 64 * 1024;

/** Evicted events are cut off the array when so many have gathered at its front: a shift each would move it all. */
const SLACK = 256;

/** Events that follow one another, as one write. */
export interface Batch {
  readonly bytes: SharedBytes;
  /** The position of the last of them. */
  readonly to: number;
  readonly events: number;
}

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
  #events: (StoredEvent | undefined)[] = [];
  /** For each event, how many bytes of blocks there had been with it, counted from the first ever held. */
  #ends: number[] = [];
  /** Index of the oldest event that is still held. */
  #start = 0;
  #lastSeq = 0;
  #bytes = 0;
  /** The id of the newest event that was evicted: whoever saw that one has missed nothing yet. */
  #evictedId: string | undefined;
  /** Positions of ids that backends made; ours say theirs. */
  readonly #seqs = new Map<string, number>();
  /** What was joined in this turn, so that clients at the same position share one buffer. */
  readonly #batches = new Map<number, Batch>();

  constructor(bounds: HistoryBounds, budget?: HistoryBudget) {
    this.#bounds = bounds;
    this.#budget = budget;
  }

  get epoch(): string {
    return this.#epoch;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The oldest position that is held; one past `lastSeq` when none is. */
  get firstSeq(): number {
    return this.#lastSeq - (this.#events.length - this.#start) + 1;
  }

  /** Of all blocks that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#start === this.#events.length;
  }

  /** The id that a client has after every event so far. */
  get lastId(): string {
    return this.at(this.#lastSeq)?.id ?? this.#evictedId ?? this.positionId(this.#lastSeq);
  }

  /** Takes another record's events in place of its own. */
  reset({ epoch, lastSeq, events }: StreamRecord): void {
    this.clear();
    this.#epoch = epoch;
    this.#lastSeq = lastSeq - events.length;
    this.#evictedId = undefined;
    for (const event of events) this.push(event);
  }

  /** Appends; nothing is evicted before `trim`, so that what came in one turn can leave first. */
  push(event: StoredEvent): void {
    this.#events.push(event);
    this.#ends.push((this.#ends.at(-1) ?? 0) + event.block.length);
    this.#lastSeq = event.seq;
    this.#grow(event.block.length);
    if (!this.#isOurs(event)) this.#seqs.set(event.id, event.seq);
  }

  /** The event at a position; undefined when it is not held. */
  at(seq: number): StoredEvent | undefined {
    if (seq < this.firstSeq || seq > this.#lastSeq) return undefined;
    return this.#events[this.#start + seq - this.firstSeq];
  }

  /** What is held behind a position, oldest first. */
  after(seq: number): StoredEvent[] {
    const found: StoredEvent[] = [];
    for (
      let next = this.at(Math.max(seq + 1, this.firstSeq));
      next !== undefined;
      next = this.at(next.seq + 1)
    )
      found.push(next);
    return found;
  }

  /** Whether an event of that id is held. */
  has(id: string): boolean {
    return this.#seqs.has(id);
  }

  /**
   * The position that a client with this id has; undefined when what followed it is not known, or no longer
   * held whole. Every byte counts: ids are compared, never read, but for those that we made ourselves.
   */
  seqOf(id: string): number | undefined {
    const seq = this.#seqs.get(id);
    if (seq !== undefined) return seq;
    const oldest = this.firstSeq - 1;
    if (id === this.#evictedId) return oldest;
    const made = this.#madeSeq(id);
    return made !== undefined && made >= oldest && made <= this.#lastSeq ? made : undefined;
  }

  /** An id for a position as such, whether or not an event has it. */
  positionId(seq: number): string {
    return `${this.#epoch}-${seq}`;
  }

  /** Bytes of the events behind a position; Infinity when some of them are gone. */
  bytesAfter(seq: number): number {
    const oldest = this.firstSeq;
    if (seq < oldest - 1) return Number.POSITIVE_INFINITY;
    const before = this.#ends[this.#start + seq - oldest];
    // Of the position right before the oldest event there is no end any more.
    return before === undefined ? this.#bytes : (this.#ends.at(-1) ?? 0) - before;
  }

  /** The next write for a client at a position behind the newest; undefined when what comes next is gone. */
  batchAfter(seq: number): Batch | undefined {
    const known = this.#batches.get(seq);
    if (known !== undefined) return known;
    const first = this.at(seq + 1);
    if (first === undefined) return undefined;
    const batch = this.#join(first);
    this.#batches.set(seq, batch);
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
    for (;;) {
      const oldest = this.#events[this.#start];
      if (oldest === undefined || oldest.seq > neededSeq) break;
      const isOver = this.#events.length - this.#start > events || this.#bytes > bytes;
      if (!isOver && oldest.at >= now - ageMs) break;
      this.#evict(oldest);
    }
  }

  /** Evicts the oldest events until so many bytes are free, for histories that are used more. */
  shed(bytes: number): void {
    const wanted = this.#bytes - bytes;
    for (let oldest = this.#events[this.#start]; oldest !== undefined; oldest = this.#events[this.#start]) {
      if (this.#bytes <= wanted) break;
      this.#evict(oldest);
    }
  }

  /** Says that it is in use, so that others are evicted first. */
  touch(): void {
    this.#budget?.touch(this);
  }

  clear(): void {
    this.#grow(-this.#bytes);
    this.#events = [];
    this.#ends = [];
    this.#start = 0;
    this.#seqs.clear();
    this.#batches.clear();
  }

  /** Forgets everything, and gives its share of the memory back. */
  close(): void {
    this.clear();
    this.#budget?.remove(this);
  }

  #join(first: StoredEvent): Batch {
    const blocks: Buffer[] = [first.block];
    let length = first.block.length;
    let to = first.seq;
    for (let next = this.at(to + 1); next !== undefined; next = this.at(to + 1)) {
      if (length + next.block.length > BATCH_BYTES) break;
      blocks.push(next.block);
      length += next.block.length;
      to = next.seq;
    }
    const bytes = blocks.length === 1 ? first.block : Buffer.concat(blocks, length);
    return { bytes: new SharedBytes(bytes), to, events: blocks.length };
  }

  #evict(oldest: StoredEvent): void {
    this.#events[this.#start] = undefined;
    this.#start += 1;
    this.#evictedId = oldest.id;
    if (this.#seqs.get(oldest.id) === oldest.seq) this.#seqs.delete(oldest.id);
    this.#grow(-oldest.block.length);
    if (this.#start < SLACK || this.#start * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#start);
    this.#ends = this.#ends.slice(this.#start);
    this.#start = 0;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#budget?.grow(this, bytes);
  }

  #isOurs({ id, seq }: StoredEvent): boolean {
    return this.#madeSeq(id) === seq;
  }

  /** The position in an id of this record, in the one spelling that ids are made in. */
  #madeSeq(id: string): number | undefined {
    if (this.#epoch === "" || !id.startsWith(`${this.#epoch}-`)) return undefined;
    const digits = id.slice(this.#epoch.length + 1);
    return /^(?:0|[1-9]\d{0,15})$/.test(digits) ? Number(digits) : undefined;
  }
}
