import type { StoredEvent } from "../shared/store.ts";
import { type Entry, isSamePosition, ORIGIN, type Position } from "./entry.ts";

/** The relation of an entry in Redis to a channel. */
export type Verdict =
  /** The next entry, to be delivered. */
  | "next"
  /** Delivered already. */
  | "known"
  /** Does not continue what the channel has: events are missing, or others have their positions. */
  | "other";

/**
 * How many changes of the leader are remembered. Older events then have a wrong token, so that the record is loaded
 * again if they must be written again.
 */
const MAX_TERMS = 1_000;

/**
 * Compares the events that a channel has with those in Redis.
 *
 * `accepted` is the position of the newest event that both have, `deliveredSeq` the newest event of the channel. They
 * differ while Redis is away or has lost its newest events. Positions have no gaps, so a missing event is always
 * noticed.
 */
export class ReplicaCursor {
  accepted: Position = ORIGIN;
  deliveredSeq = 0;
  /** The first seq of each leader, oldest first: events are written again under their old positions. */
  #terms: { readonly token: number; readonly fromSeq: number }[] = [];
  /**
   * The newest event that the leaders in `#terms` have written to Redis; newer than `accepted` if Redis has lost events
   * since.
   */
  #writtenSeq = 0;

  /** Starts again with the entries of a record. */
  reset(entries: readonly Entry[]): void {
    this.#terms = [];
    this.#writtenSeq = 0;
    this.accepted = ORIGIN;
    for (const { position } of entries) this.accept(position);
    this.deliveredSeq = this.accepted.seq;
  }

  /** Takes an entry in the order of Redis; `held` returns the channel's event at its position. */
  take({ position, event }: Entry, held: (seq: number) => StoredEvent | undefined): Verdict {
    const { token, seq } = position;
    const isOld = token < this.accepted.token || (token === this.accepted.token && seq <= this.accepted.seq);
    if (isOld) return "known";
    if (event === undefined || seq > this.#mostNext()) return "other";
    if (seq <= this.deliveredSeq && held(seq)?.id !== event.id) return "other";
    this.accept(position);
    if (seq <= this.deliveredSeq) return "known";
    this.deliveredSeq = seq;
    return "next";
  }

  /** Returns the highest seq that may come next. Another leader may fill an emptied Redis from its own history. */
  #mostNext(): number {
    return (isSamePosition(this.accepted, ORIGIN) ? this.deliveredSeq : this.accepted.seq) + 1;
  }

  /** Notes that the channel and Redis both have all events up to this position. */
  accept(position: Position): void {
    this.accepted = position;
    const { token, seq } = position;
    // A lost event was written again: the term in which it was first written stays.
    if (seq <= this.#writtenSeq && this.tokenOf(seq, 0) === token) return;
    let last = this.#terms.at(-1);
    while (last !== undefined && last.fromSeq >= seq) {
      this.#terms.pop();
      last = this.#terms.at(-1);
    }
    if (last?.token !== token) this.#terms.push({ token, fromSeq: seq });
    if (this.#terms.length > MAX_TERMS) this.#terms.shift();
    this.#writtenSeq = seq;
  }

  /** Sets the newest event in Redis, after Redis lost events or a reply was lost. */
  rewind(position: Position): void {
    this.accepted = position;
  }

  /** Whether a position belongs to our history; `ownToken` is the token of events that were never accepted. */
  knows(position: Position, ownToken: number, newestSeq: number): boolean {
    if (isSamePosition(position, ORIGIN)) return true;
    return position.seq <= newestSeq && this.tokenOf(position.seq, ownToken) === position.token;
  }

  /** Returns the token under which an event was written; `ownToken` if it was never written. */
  tokenOf(seq: number, ownToken: number): number {
    if (seq > this.#writtenSeq) return ownToken;
    const term = this.#terms.findLast(({ fromSeq }) => fromSeq <= seq);
    return term?.token ?? this.#terms[0]?.token ?? ownToken;
  }
}
