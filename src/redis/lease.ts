import { jitter } from "../base/jitter.ts";
import type { RecordPlace } from "./append.ts";
import { RedisFault } from "./redis-fault.ts";
import type { LeaseReply } from "./schemas.ts";
import { LEASE, RELEASE } from "./scripts.ts";

export interface LeaseOptions {
  readonly place: RecordPlace;
  /** The epoch that the record gets if it has none. */
  epoch(): string;
  /** The backend status to write with a renewal; empty to keep the present one. */
  state(): string;
  onReply(reply: LeaseReply): void;
  /** Called after each failure to get a valid reply; `ms` is the time since the first one. */
  onSilence(ms: number): void;
}

/**
 * Asks for the right to ask a record's backend, again and again, because each reply also gives the state of the
 * record. A holder renews its lease three times per lease time; others ask again when the lease could have expired.
 *
 * The token outlives the lease: a slow holder keeps it until another instance wants the lease.
 */
export class Lease {
  /** The last token granted to us; 0 for none. Redis may have granted a newer one since. */
  token = 0;
  readonly #options: LeaseOptions;
  /** The newest token ever seen; a token granted to us later is newer. */
  #seen = 0;
  #isAsking = false;
  #asksAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #silentSince: number | undefined;
  /**
   * Before this time, by `performance.now()`, only the previous leader asks for the lease, because it has events to
   * write.
   */
  #wantsFrom = 0;
  #isStopped = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Asks now, or once more after the reply to the request under way. */
  ask(): void {
    if (this.#isStopped) return;
    if (this.#isAsking) this.#asksAgain = true;
    else void this.#ask();
  }

  /** Lets only the previous leader lead for one lease time, because Redis is back. */
  standBack(): void {
    this.#wantsFrom = performance.now() + this.#options.place.leaseMs;
  }

  /** Drops our token, because another instance leads. */
  forget(): void {
    this.token = 0;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Releases the lease if it is ours, so that others need not wait until it expires. */
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
    const reply = await this.#send().catch((error: unknown) => void faults.onFault(error));
    this.#isAsking = false;
    if (this.#isStopped) return;
    this.#schedule(reply);
    try {
      if (reply !== undefined) this.#options.onReply(reply);
      else this.#options.onSilence(this.#silentMs());
    } catch (error) {
      faults.onFault(error);
    }
  }

  async #send(): Promise<LeaseReply | undefined> {
    const { connection, keys, owner, leaseMs, keepMs } = this.#options.place;
    const wants = this.token !== 0 || performance.now() >= this.#wantsFrom ? "1" : "0";
    const numbers = [String(this.token), String(leaseMs), wants] as const;
    const rest = [this.#options.epoch(), String(this.#seen), String(keepMs), this.#options.state()];
    try {
      const args = [owner, ...numbers, ...rest];
      const reply = await connection.run(LEASE, [keys.lease, keys.meta, keys.events], args);
      // A lease without its record: part of the keys was evicted, or written by other software.
      if (reply.epoch === "") return undefined;
      this.#silentSince = undefined;
      this.#seen = Math.max(this.#seen, reply.token);
      if (reply.isGranted) this.token = reply.token;
      return reply;
    } catch (error) {
      if (error instanceof RedisFault) return undefined;
      throw error;
    }
  }

  /** Returns the time since the first of the requests without a reply; before that request, nothing was asked. */
  #silentMs(): number {
    const now = performance.now();
    this.#silentSince ??= now;
    return now - this.#silentSince;
  }

  #schedule(reply: LeaseReply | undefined): void {
    if (this.#isStopped) return;
    const { leaseMs } = this.#options.place;
    let delay = jitter(leaseMs / 4);
    if (reply?.isGranted === true) delay = leaseMs / 3;
    else if (reply !== undefined && reply.leftMs > 0) {
      // Spreads the requests of instances that wait for the same lease.
      delay = Math.min(reply.leftMs, leaseMs) + 10 + Math.random() * 50;
    }
    if (this.#asksAgain) delay = 0;
    this.#timer = setTimeout(() => this.ask(), delay);
  }
}
