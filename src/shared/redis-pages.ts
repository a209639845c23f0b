import type { RecordPlace } from "./redis-append.ts";
import { decodeEntries, type Entry, formatPosition, type Position, positionBehind } from "./redis-entry.ts";

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

/** The end of a record without a hole: entries that were trimmed away between two pages, or are not understood. */
export async function readRecord(place: RecordPlace): Promise<Entry[]> {
  let entries: Entry[] = [];
  for await (const page of readPages(place, { token: 0, seq: 0 })) {
    for (const entry of page) {
      const before = entries.at(-1)?.position.seq;
      if (before !== undefined && entry.position.seq !== before + 1) entries = [];
      entries.push(entry);
    }
  }
  const unknown = entries.findLastIndex(({ event }) => event === undefined);
  return unknown < 0 || unknown === entries.length - 1 ? entries : entries.slice(unknown + 1);
}
