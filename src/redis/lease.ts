import { jitter } from "../base/jitter.ts";
import type { RecordPlace } from "./append.ts";
import { RedisFault } from "./connection.ts";
import type { LeaseReply } from "./schemas.ts";
import { LEASE, RELEASE } from "./scripts.ts";

export interface LeaseOptions {
  readonly place: RecordPlace;
  /** The name that the record gets if there is none. */
  epoch(): string;
  /** What is written when the lease is renewed; empty leaves what is there. */
  state(): string;
  onAnswer(answer: LeaseReply): void;
  /** Redis gave no answer for `ms`, or none that tells of a record, however often it was asked. Called with each failure. */
  onSilence(ms: number): void;
}

/**
 * Asks for the right to ask a record's backend: again and again, because the answer also says how the record
 * stands. A holder renews every third of the lease; others ask again when it could have run out.
 *
 * The token outlives the lease: a holder that was slow keeps it until somebody else wants it.
 */
export class Lease {
  /** The token that we were granted last; 0 for none. Redis may have granted a newer one since. */
  token = 0;
  readonly #options: LeaseOptions;
  /** The newest token that we ever saw: one that is granted to us is newer. */
  #seen = 0;
  #isAsking = false;
  #asksAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #silentSince: number | undefined;
  /** Who had no lease before Redis was away leaves it to who had one, and has events to write. */
  #wantsFrom = 0;
  #isStopped = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Asks now, or once more when the answer under way has come. */
  ask(): void {
    if (this.#isStopped) return;
    if (this.#isAsking) this.#asksAgain = true;
    else void this.#ask();
  }

  /** Redis is back: for the length of a lease only who led before may lead. */
  standBack(): void {
    this.#wantsFrom = performance.now() + this.#options.place.leaseMs;
  }

  /** Another one leads: what we had is worth nothing. */
  forget(): void {
    this.token = 0;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Gives the lease up if it is ours, so that others need not wait until it runs out. */
  async release(epoch: string): Promise<boolean> {
    const { connection, keys } = this.#options.place;
    if (this.token === 0) return false;
    return (await connection.run(RELEASE, [keys.lease, keys.meta], [String(this.token), epoch])) === 1;
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isAsking = true;
    this.#asksAgain = false;
    const { faults } = this.#options.place.connection;
    const answer = await this.#answer().catch((error: unknown) => void faults.onFault(error));
    this.#isAsking = false;
    if (this.#isStopped) return;
    this.#schedule(answer);
    try {
      if (answer !== undefined) this.#options.onAnswer(answer);
      else this.#options.onSilence(this.#silentMs());
    } catch (error) {
      faults.onFault(error);
    }
  }

  async #answer(): Promise<LeaseReply | undefined> {
    const { connection, keys, owner, leaseMs, keepMs } = this.#options.place;
    const wants = this.token !== 0 || performance.now() >= this.#wantsFrom ? "1" : "0";
    const numbers = [String(this.token), String(leaseMs), wants] as const;
    const rest = [this.#options.epoch(), String(this.#seen), String(keepMs), this.#options.state()];
    try {
      const args = [owner, ...numbers, ...rest];
      const answer = await connection.run(LEASE, [keys.lease, keys.meta, keys.events], args);
      // A lease without its record: part of the keys was evicted, or somebody else wrote them.
      if (answer.epoch === "") return undefined;
      this.#silentSince = undefined;
      this.#seen = Math.max(this.#seen, answer.token);
      if (answer.isGranted) this.token = answer.token;
      return answer;
    } catch (error) {
      if (error instanceof RedisFault) return undefined;
      throw error;
    }
  }

  /** From the first question without an answer, because before it nobody asked. */
  #silentMs(): number {
    const now = performance.now();
    this.#silentSince ??= now;
    return now - this.#silentSince;
  }

  #schedule(answer: LeaseReply | undefined): void {
    if (this.#isStopped) return;
    const { leaseMs } = this.#options.place;
    let delay = jitter(leaseMs / 4);
    if (answer?.isGranted === true) delay = leaseMs / 3;
    else if (answer !== undefined && answer.leftMs > 0) {
      // Those who wait for the same lease do not all come at once.
      delay = Math.min(answer.leftMs, leaseMs) + 10 + Math.random() * 50;
    }
    if (this.#asksAgain) delay = 0;
    this.#timer = setTimeout(() => this.ask(), delay);
  }
}
