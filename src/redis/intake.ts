import { setTimeout as delay } from "node:timers/promises";
import type { StoredEvent } from "../shared/store.ts";
import type { RecordPlace } from "./append.ts";
import { RedisFault } from "./connection.ts";
import type { Entry, Position } from "./entry.ts";
import { readPages } from "./pages.ts";
import type { RedisReader } from "./reader.ts";
import type { ReplicaCursor } from "./replica-cursor.ts";

export interface RedisIntakeOptions {
  readonly place: RecordPlace;
  readonly reader: RedisReader;
  readonly cursor: ReplicaCursor;
  /** So long Redis may be away before those who wait for what it has go on without. */
  readonly timeoutMs: number;
  /** Another one leads, so that what is read continues what the channel has. */
  isFollowing(): boolean;
  held(seq: number): StoredEvent | undefined;
  deliver(events: readonly StoredEvent[]): void;
  /** What was read does not continue what the channel has. */
  onOther(): void;
}

const RETRY_MS = 50;

/** What a record gets out of Redis: as it comes, or on demand. */
export class RedisIntake {
  /** What the channel has does not continue what Redis has: to be loaded anew. */
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

  /** Reads from a position on what comes. */
  read(from: Position): void {
    const { reader, place, onOther } = this.#options;
    this.stop();
    this.#stop = reader.follow(place.keys.events, from, (entries) => {
      if (entries === undefined) this.stop();
      if (entries === undefined || !this.#take(entries)) onOther();
    });
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Reads what there is over the connection for commands: the reader may be cut off, or late. */
  async catchUp(): Promise<void> {
    const { place, cursor, onOther } = this.#options;
    for await (const page of readPages(place, cursor.accepted)) {
      if (!this.#take(page)) return onOther();
    }
  }

  /** The same once for all who ask meanwhile; without Redis it resolves when that was so for the timeout. */
  catchUpTogether(): Promise<void> {
    // One that is under way may have read too little.
    this.#nextCatchUp ??= this.#catchingUp.then(() => {
      this.#nextCatchUp = undefined;
      this.#catchingUp = this.#tryToCatchUp();
      return this.#catchingUp;
    });
    return this.#nextCatchUp;
  }

  /** Never rejects, because all later ones wait for it. */
  async #tryToCatchUp(): Promise<void> {
    const { place, timeoutMs } = this.#options;
    const until = performance.now() + timeoutMs;
    try {
      while (!(await this.#catchUpOnce()) && performance.now() < until) await delay(RETRY_MS);
    } catch (error) {
      place.connection.faults.onFault(error);
    }
  }

  /** False when Redis is to be asked once more. */
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

  /** Delivers what comes next; false when it does not continue what the channel has. */
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
