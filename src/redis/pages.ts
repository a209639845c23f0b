import type { HistoryBounds, StoredEvent } from "../shared/store.ts";
import type { RecordPlace } from "./append.ts";
import {
  comparePositions,
  type Entry,
  formatPosition,
  ORIGIN,
  type Position,
  positionBehind,
} from "./entry.ts";
import { RedisFault } from "./redis-fault.ts";
import { entriesReply } from "./schemas.ts";

/** Entries per reply: few in the first, then as many as make up a certain size. */
const FIRST_PAGE = 16;
export const MAX_PAGE = 256;
const PAGE_BYTES = 1024 * 1024;

/** Reads the entries of a record after a position, oldest first, to the end. */
export async function* readPages(
  place: RecordPlace,
  after: Position,
): AsyncGenerator<readonly Entry[], void> {
  const { pageSize } = place;
  // Does not grow before the end: a failed page would end the whole read, and the next read would fail there again.
  const most = pageSize.entries;
  let from = after;
  let count = Math.min(FIRST_PAGE, most);
  let isFull = false;
  for (;;) {
    const page = await readPage(place, from, count);
    const last = page.at(-1);
    isFull ||= page.length >= most;
    if (page.length < count && isFull) pageSize.grow();
    if (last === undefined) return;
    // A reply that does not advance would be requested for ever.
    if (comparePositions(last.position, from) <= 0) throw new RedisFault("a reply that does not advance");
    from = last.position;
    yield page;
    if (page.length < count) return;
    count = nextCount(page, most);
  }
}

async function readPage(
  { connection, keys, isBlock, pageSize }: RecordPlace,
  from: Position,
  count: number,
): Promise<readonly Entry[]> {
  const wasReady = connection.isReady;
  try {
    const range = [formatPosition(positionBehind(from)), "+", "COUNT", count];
    return await connection.ask(entriesReply(isBlock), "XRANGE", [keys.events, ...range]);
  } catch (error) {
    // A refusal does not depend on the size.
    if (wasReady && !connection.isReady) pageSize.shrink(count);
    throw error;
  }
}

/**
 * Returns how many entries to request next, so that a reply comes within the timeout of a command even if events are
 * large.
 */
function nextCount(page: readonly Entry[], most: number): number {
  const bytes = page.reduce((sum, entry) => sum + bytesOf(entry), 0);
  return Math.max(1, Math.min(most, Math.floor((PAGE_BYTES * page.length) / Math.max(1, bytes))));
}

/**
 * Reads the newest part of a record within our own bounds, oldest first. If entries were trimmed between two pages,
 * returns only those after the gap.
 */
export async function readRecord(place: RecordPlace): Promise<Entry[]> {
  const kept = new Kept(place.bounds);
  for await (const page of readPages(place, ORIGIN)) {
    for (const entry of page) {
      if (entry.event === undefined) place.connection.faults.countInvalid("entry");
      kept.add(entry);
    }
  }
  return kept.entries;
}

/**
 * The newest entries of a record while it is read: another instance may keep more of it than this one has memory for.
 */
class Kept {
  readonly #bounds: HistoryBounds;
  #entries: Entry[] = [];
  #start = 0;
  #bytes = 0;

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  get entries(): Entry[] {
    return this.#entries.slice(this.#start);
  }

  add(entry: Entry): void {
    const before = this.#entries.at(-1)?.position.seq;
    if (before !== undefined && entry.position.seq !== before + 1) this.#clear();
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry);
    while (this.#isOver()) {
      this.#bytes -= bytesOf(this.#entries[this.#start] as Entry);
      this.#start += 1;
    }
    if (this.#start * 2 <= this.#entries.length || this.#start < MAX_PAGE) return;
    this.#entries = this.#entries.slice(this.#start);
    this.#start = 0;
  }

  /** The newest entry is always kept, because it carries the position. */
  #isOver(): boolean {
    const count = this.#entries.length - this.#start;
    return count > 1 && (count > this.#bounds.events || this.#bytes > this.#bounds.bytes);
  }

  #clear(): void {
    this.#entries = [];
    this.#start = 0;
    this.#bytes = 0;
  }
}

const bytesOf = ({ event }: Entry): number => event?.block.length ?? 0;

/** Returns the events that a channel may get: those after the last entry of an unknown form. */
export function eventsOf(entries: readonly Entry[]): StoredEvent[] {
  const unknown = entries.findLastIndex(({ event }) => event === undefined);
  return entries.slice(unknown + 1).flatMap(({ event }) => event ?? []);
}
