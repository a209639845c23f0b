import { setTimeout as delay } from "node:timers/promises";
import type { StoredEvent } from "../shared/store.ts";
import type { RecordPlace } from "./append.ts";
import type { Entry, Position } from "./entry.ts";
import { readPages } from "./pages.ts";
import type { RedisReader } from "./reader.ts";
import { RedisFault } from "./redis-fault.ts";
import type { ReplicaCursor } from "./replica-cursor.ts";

export interface RedisIntakeOptions {
  readonly place: RecordPlace;
  readonly reader: RedisReader;
  readonly cursor: ReplicaCursor;
  /** How long a catch-up waits for Redis, in ms. */
  readonly timeoutMs: number;
  /** Whether another instance leads, so that entries continue what the channel has. */
  isFollowing(): boolean;
  held(seq: number): StoredEvent | undefined;
  deliver(events: readonly StoredEvent[]): void;
  /** Called when entries do not continue what the channel has. */
  onOther(): void;
}

const RETRY_MS = 50;

/** Reads the entries of a record from Redis, as they come or on demand. */
export class RedisIntake {
  /** Whether the channel and Redis have different histories, so that the record must be loaded again. */
  isOther = false;
  readonly #options: RedisIntakeOptions;
  #stop: (() => void) | undefined;
  #catchingUp: Promise<void> = Promise.resolve();
  #nextCatchUp: Promise<void> | undefined;

  constructor(options: RedisIntakeOptions) {
    this.#options = options;
  }

  get isReading(): boolean {
    return this.#stop !== undefined;
  }

  /** Follows the record from a position. */
  read(from: Position): void {
    const { reader, place, onOther } = this.#options;
    this.stop();
    const onEntries = (entries: readonly Entry[] | undefined) => {
      if (entries === undefined) this.stop();
      if (entries === undefined || !this.#take(entries)) onOther();
    };
    this.#stop = reader.follow(place.keys.events, from, onEntries, place.isBlock);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Reads the newer entries over the connection for commands, because the reader may be cut off or late. */
  async catchUp(): Promise<void> {
    const { place, cursor, onOther } = this.#options;
    for await (const page of readPages(place, cursor.accepted)) {
      if (!this.#take(page)) return onOther();
    }
  }

  /** Catches up once for all callers that wait meanwhile; without Redis, resolves after the timeout. */
  catchUpTogether(): Promise<void> {
    // A catch-up under way may have read too little.
    this.#nextCatchUp ??= this.#catchingUp.then(() => {
      this.#nextCatchUp = undefined;
      this.#catchingUp = this.#tryToCatchUp();
      return this.#catchingUp;
    });
    return this.#nextCatchUp;
  }

  /** Never rejects, because all later catch-ups wait for it. */
  async #tryToCatchUp(): Promise<void> {
    const { place, timeoutMs } = this.#options;
    const until = performance.now() + timeoutMs;
    try {
      while (!(await this.#catchUpOnce()) && performance.now() < until) await delay(RETRY_MS);
    } catch (error) {
      place.connection.faults.onFault(error);
    }
  }

  /** Returns false if Redis must be asked again. */
  async #catchUpOnce(): Promise<boolean> {
    if (!this.#options.isFollowing()) return false;
    try {
      await this.catchUp();
      return true;
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      return false;
    }
  }

  /** Delivers the next events; returns false if the entries do not continue what the channel has. */
  #take(entries: readonly Entry[]): boolean {
    const { place, cursor, held, deliver } = this.#options;
    if (this.isOther) return false;
    const next: StoredEvent[] = [];
    for (const entry of entries) {
      if (entry.event === undefined) place.connection.faults.countInvalid("entry");
      const verdict = cursor.take(entry, held);
      this.isOther = verdict === "other";
      if (this.isOther) break;
      if (verdict === "next" && entry.event !== undefined) next.push(entry.event);
    }
    if (next.length > 0) deliver(next);
    return !this.isOther;
  }
}
