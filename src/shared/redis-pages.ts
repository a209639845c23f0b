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

/** Entries in one answer. */
const PAGE = 256;

/** Reads what a record holds behind a position, oldest first, until there is no more. */
export async function* readPages(
  { connection, keys }: RecordPlace,
  after: Position,
): AsyncGenerator<readonly Entry[], void> {
  let from = after;
  for (;;) {
    const range = [formatPosition(positionBehind(from)), "+", "COUNT", PAGE];
    const page = decodeEntries(await connection.command("XRANGE", [keys.events, ...range]));
    const last = page.at(-1);
    if (last === undefined) return;
    from = last.position;
    yield page;
    if (page.length < PAGE) return;
  }
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
