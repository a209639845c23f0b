import { jitter } from "../base/jitter.ts";
import type { RecordPlace } from "./redis-append.ts";
import { RedisFault, type RedisReply } from "./redis-connection.ts";
import { ORIGIN, type Position, parsePosition } from "./redis-entry.ts";
import { LEASE, RELEASE } from "./redis-scripts.ts";

/** How a record stands, and whether its lease is ours. */
export interface LeaseAnswer {
  readonly isGranted: boolean;
  /** The newest that was granted to anybody; 0 for none. */
  readonly token: number;
  /** Names the record; empty before the first lease. */
  readonly epoch: string;
  /** The leader's last word on its backend, as it wrote it; empty before the first. */
  readonly state: string;
  /** Until the lease may be granted to another; negative when nobody holds it. */
  readonly leftMs: number;
  /** Where the newest event stands. */
  readonly top: Position;
}

export interface LeaseOptions {
  readonly place: RecordPlace;
  /** The name that the record gets if there is none. */
  epoch(): string;
  /** What is written when the lease is renewed; empty leaves what is there. */
  state(): string;
  onAnswer(answer: LeaseAnswer): void;
  /** Redis gave no answer for `ms`, however often it was asked. Called with each failure. */
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
    const answer = await this.#answer();
    this.#isAsking = false;
    if (this.#isStopped) return;
    this.#schedule(answer);
    if (answer !== undefined) this.#options.onAnswer(answer);
    else this.#options.onSilence(this.#silentMs());
  }

  async #answer(): Promise<LeaseAnswer | undefined> {
    const { connection, keys, owner, leaseMs, keepMs } = this.#options.place;
    const wants = this.token !== 0 || performance.now() >= this.#wantsFrom ? "1" : "0";
    const numbers = [String(this.token), String(leaseMs), wants] as const;
    const rest = [this.#options.epoch(), String(this.#seen), String(keepMs), this.#options.state()];
    try {
      const args = [owner, ...numbers, ...rest];
      const answer = readAnswer(await connection.run(LEASE, [keys.lease, keys.meta, keys.events], args));
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

  #schedule(answer: LeaseAnswer | undefined): void {
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

function readAnswer(reply: RedisReply): LeaseAnswer {
  if (!Array.isArray(reply)) throw new TypeError("an answer of another script");
  const [granted, token, epoch, state, leftMs, top] = reply as readonly RedisReply[];
  return {
    isGranted: granted === 1,
    token: Number(String(token)),
    epoch: String(epoch),
    state: String(state),
    leftMs: Number(leftMs),
    top: top === undefined ? ORIGIN : parsePosition(String(top)),
  };
}
