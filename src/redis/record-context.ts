import type { RecordPlace } from "./append.ts";
import type { RedisReader } from "./reader.ts";

/** The parts of a store that a record uses. */
export interface RecordContext {
  readonly place: RecordPlace;
  readonly reader: RedisReader;
  /** Whether another process is to lead, unless it does not for a lease time. */
  readonly isFollower: boolean;
  /** How long an event waits for Redis, and the first client for the first reply, in ms. */
  readonly timeoutMs: number;
  /** Has other instances look at this record at once. */
  notify(): void;
  /** Called when events begin, or cease, to be delivered without Redis. */
  onDegraded(isDegraded: boolean): void;
  /** Called when the channel gets another history. */
  onReplaced(): void;
  onClose(closed: Promise<void>): void;
}
