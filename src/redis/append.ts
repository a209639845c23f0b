import type { HistoryBounds, StoredEvent } from "../shared/store.ts";
import type { RedisCommands } from "./commands.ts";
import { type BlockTest, encodeEntry, formatPosition, type Position } from "./entry.ts";
import type { RecordKeys } from "./key.ts";
import type { PageSize } from "./page-size.ts";
import { RedisFault } from "./redis-fault.ts";
import { APPEND } from "./scripts.ts";

/** The bounds of one call of the script: Redis serves no other client while a script runs. */
const BATCH_EVENTS = 256;
const BATCH_BYTES = 1024 ** 2;

/** A record in Redis, and how long its keys stay. */
export interface RecordPlace {
  readonly connection: RedisCommands;
  /** The page size of reads over this connection, also of other records. */
  readonly pageSize: PageSize;
  readonly keys: RecordKeys;
  readonly bounds: HistoryBounds;
  /** Accepts the bytes of an event. */
  readonly isBlock: BlockTest;
  /** Identifies this process. */
  readonly owner: string;
  readonly leaseMs: number;
  /** How long the record stays after it last had a leader, in ms. */
  readonly keepMs: number;
}

/** The grant under which a leader writes. */
export interface Grant {
  readonly token: number;
  readonly epoch: string;
}

/** An event with the position under which it is written. */
export interface PlacedEvent {
  readonly event: StoredEvent;
  readonly position: Position;
}

/** The result of an append. */
export type AppendOutcome =
  | { readonly is: "written"; readonly batch: readonly PlacedEvent[] }
  /** Another leader has a newer token; nothing was written. */
  | { readonly is: "fenced" }
  /** The newest event in Redis is not the expected one; nothing was written. */
  | { readonly is: "other"; readonly top: Position }
  /** No reply: the events may have been written or not. */
  | { readonly is: "failed" };

/** Writes the first of `events` after a position, as many as one call may append. */
export async function appendEvents(
  { connection, keys, bounds, owner, leaseMs, keepMs }: RecordPlace,
  { token, epoch }: Grant,
  after: Position,
  events: readonly PlacedEvent[],
): Promise<AppendOutcome> {
  const batch = firstBatch(events);
  const grant = [owner, String(token), epoch, String(leaseMs), String(keepMs), formatPosition(after)];
  const limits = [bounds.events, bounds.bytes, Date.now() - bounds.ageMs].map(String);
  const entries = batch.flatMap(({ event, position }) => encodeEntry(event, position));
  try {
    const names = [keys.lease, keys.meta, keys.events];
    const reply = await connection.run(APPEND, names, [...grant, ...limits, ...entries]);
    return reply.is === "ok" ? { is: "written", batch } : reply;
  } catch (error) {
    if (error instanceof RedisFault) return { is: "failed" };
    throw error;
  }
}

function firstBatch(events: readonly PlacedEvent[]): readonly PlacedEvent[] {
  let bytes = 0;
  const end = events.findIndex(({ event }, at) => {
    bytes += event.block.length;
    return at > 0 && (at >= BATCH_EVENTS || bytes > BATCH_BYTES);
  });
  return end < 0 ? events : events.slice(0, end);
}
