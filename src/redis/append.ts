import type { HistoryBounds, StoredEvent } from "../shared/store.ts";
import type { RedisConnection } from "./connection.ts";
import { RedisFault } from "./connection.ts";
import { encodeEntry, formatPosition, type Position } from "./entry.ts";
import type { RecordKeys } from "./key.ts";
import { APPEND } from "./scripts.ts";

/** The most that one call of the script appends: while it runs, Redis serves nobody else. */
const BATCH_EVENTS = 256;
const BATCH_BYTES = 1024 ** 2;

/** A record in Redis, and how long what belongs to it stays. */
export interface RecordPlace {
  readonly connection: RedisConnection;
  readonly keys: RecordKeys;
  readonly bounds: HistoryBounds;
  /** Names this process. */
  readonly owner: string;
  readonly leaseMs: number;
  /** How long the record stays after the last time it was led. */
  readonly keepMs: number;
}

/** Under which grant a leader writes. */
export interface Grant {
  readonly token: number;
  readonly epoch: string;
}

/** An event and the position it is written under. */
export interface PlacedEvent {
  readonly event: StoredEvent;
  readonly position: Position;
}

/** What became of an append. */
export type AppendOutcome =
  | { readonly is: "written"; readonly batch: readonly PlacedEvent[] }
  /** A newer token was granted to another: nothing was written. */
  | { readonly is: "fenced" }
  /** The newest event in Redis is another one than we took it for: nothing was written. */
  | { readonly is: "other"; readonly top: Position }
  /** No answer: it was written or it was not. */
  | { readonly is: "failed" };

/** Writes the first of `events` behind a position, as many as one call may take. */
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
    const answer = await connection.run(APPEND, names, [...grant, ...limits, ...entries]);
    return answer.is === "ok" ? { is: "written", batch } : answer;
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
