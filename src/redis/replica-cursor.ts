import type { StoredEvent } from "../shared/store.ts";
import { type Entry, isSamePosition, ORIGIN, type Position } from "./entry.ts";

/** What an entry of Redis is to a channel. */
export type Verdict =
  /** Comes next: to be delivered. */
  | "next"
  /** Was delivered already. */
  | "known"
  /** Does not continue what the channel has: events are missing, or others stand in their place. */
  | "other";

/**
 * Changes of the leader that are remembered. Events from before the oldest are known under a wrong token then, so that
 * the record is loaded anew where they would have to be written again.
 */
const MAX_TERMS = 1_000;

/**
 * Compares what a channel was fed with what Redis holds, event by event.
 *
 * Two positions: `accepted`, the newest event that both have, and `deliveredSeq`, the newest that the channel has.
 * They differ while Redis is away or has lost its tail. Positions count without holes, so nothing can be missing
 * between two entries and not be noticed.
 */
export class ReplicaCursor {
  accepted: Position = ORIGIN;
  deliveredSeq = 0;
  /** From which seq on each leader wrote, oldest first: to write events again under the position they had. */
  #terms: { readonly token: number; readonly fromSeq: number }[] = [];
  /** The newest that ever was in Redis under the terms above; more than accepted while Redis has lost some. */
  #writtenSeq = 0;

  /** Begins anew with what a record holds. */
  reset(entries: readonly Entry[]): void {
    this.#terms = [];
    this.#writtenSeq = 0;
    this.accepted = ORIGIN;
    for (const { position } of entries) this.accept(position);
    this.deliveredSeq = this.accepted.seq;
  }

  /** Takes an entry in the order of Redis; `held` gives the event that the channel has at its place. */
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

  /** A Redis that was emptied may be filled again from where another one's history begins. */
  #mostNext(): number {
    return (isSamePosition(this.accepted, ORIGIN) ? this.deliveredSeq : this.accepted.seq) + 1;
  }

  /** Both have everything up to here. */
  accept(position: Position): void {
    this.accepted = position;
    const { token, seq } = position;
    // Written once more where it was lost: who wrote what stays as it was.
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

  /** Redis has lost its tail, or an answer to us: the newest that it has is this one. */
  rewind(position: Position): void {
    this.accepted = position;
  }

  /** Whether a position is one of ours; `ownToken` stands for what was never accepted. */
  knows(position: Position, ownToken: number, newestSeq: number): boolean {
    if (isSamePosition(position, ORIGIN)) return true;
    return position.seq <= newestSeq && this.tokenOf(position.seq, ownToken) === position.token;
  }

  /** Under which token an event was written; `ownToken` for one that never was. */
  tokenOf(seq: number, ownToken: number): number {
    if (seq > this.#writtenSeq) return ownToken;
    const term = this.#terms.findLast(({ fromSeq }) => fromSeq <= seq);
    return term?.token ?? this.#terms[0]?.token ?? ownToken;
  }
}
