import { SharedBytes } from "../http/shared-bytes.ts";
import type { HistoryPage } from "./history-page.ts";

/** The longest batch, in bytes; a longer event is a batch of its own. */
const MAX_BATCH_BYTES = 64 * 1024;

/** Consecutive events for one write. */
export interface Batch {
  readonly bytes: SharedBytes;
  /** The position of the last event. */
  readonly to: number;
  readonly events: number;
}

/**
 * Joins the events from position `first` on; undefined if that event is not held. `pageOf` finds the page of a position.
 *
 * Most batches lie in one page, and then nothing is copied.
 */
export function batchFrom(
  first: number,
  pageOf: (seq: number) => HistoryPage | undefined,
): Batch | undefined {
  const parts: Buffer[] = [];
  let length = 0;
  let next = first;
  for (let page = pageOf(next); page !== undefined; page = pageOf(next)) {
    const index = next - page.firstSeq;
    if (parts.length > 0 && length + page.lengthOf(index) > MAX_BATCH_BYTES) break;
    const count = page.countIn(index, MAX_BATCH_BYTES - length);
    const part = page.blocks(index, index + count);
    parts.push(part);
    length += part.length;
    next += count;
  }
  const [only] = parts;
  if (only === undefined) return undefined;
  const bytes = parts.length === 1 ? only : Buffer.concat(parts, length);
  return { bytes: new SharedBytes(bytes), to: next - 1, events: next - first };
}
