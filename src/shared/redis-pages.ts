import type { RecordPlace } from "./redis-append.ts";
import {
  decodeEntries,
  type Entry,
  formatPosition,
  ORIGIN,
  type Position,
  positionBehind,
} from "./redis-entry.ts";
import type { StoredEvent } from "./store.ts";

/** Entries in one answer: few in the first, and then what comes to a certain size. */
const FIRST_PAGE = 16;
const PAGE = 256;
const PAGE_BYTES = 1024 * 1024;

/** Reads what a record holds behind a position, oldest first, until there is no more. */
export async function* readPages(
  { connection, keys }: RecordPlace,
  after: Position,
): AsyncGenerator<readonly Entry[], void> {
  let from = after;
  let count = FIRST_PAGE;
  for (;;) {
    const range = [formatPosition(positionBehind(from)), "+", "COUNT", count];
    const page = decodeEntries(await connection.command("XRANGE", [keys.events, ...range]));
    const last = page.at(-1);
    if (last === undefined) return;
    from = last.position;
    yield page;
    if (page.length < count) return;
    count = nextCount(page);
  }
}

/** An answer has to come within the timeout of a command, however large events are. */
function nextCount(page: readonly Entry[]): number {
  const bytes = page.reduce((sum, { event }) => sum + (event?.block.length ?? 0), 0);
  return Math.max(1, Math.min(PAGE, Math.floor((PAGE_BYTES * page.length) / Math.max(1, bytes))));
}

/** Everything that a record holds; after a hole, because entries were trimmed away between two pages, what follows it. */
export async function readRecord(place: RecordPlace): Promise<Entry[]> {
  let entries: Entry[] = [];
  for await (const page of readPages(place, ORIGIN)) {
    for (const entry of page) {
      const before = entries.at(-1)?.position.seq;
      if (before !== undefined && entry.position.seq !== before + 1) entries = [];
      entries.push(entry);
    }
  }
  return entries;
}

/** What a channel may be given of entries: the events behind the last that is not understood. */
export function eventsOf(entries: readonly Entry[]): StoredEvent[] {
  const unknown = entries.findLastIndex(({ event }) => event === undefined);
  return entries.slice(unknown + 1).flatMap(({ event }) => event ?? []);
}
