import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import { retrySoon } from "../http/retry-after.ts";

/** A body that has taken no further block for this long, in ms, gives way when another one needs its room. */
const STALLED_MS = 5_000;

/**
 * What all request bodies that are held whole may take together: `limits.bodiesBytes` of one process.
 *
 * A body takes its room as it comes, never at once: a stranger who announces 12 MiB and sends nothing holds nothing.
 * One who sends most of it and then stalls holds what was sent, but only while nobody needs it: `STALLED_MS`
 * after its last block it gives way to the next body that finds no room.
 */
export class BodyBudget {
  /** In bytes. Lowered, it takes nothing from those that are held. */
  limitBytes: number;
  #heldBytes = 0;
  /** Leases of bodies that are still coming, the one that has waited longest for its next block first. */
  readonly #growing = new Set<BodyLease>();

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** An account for one body, which takes nothing yet. The caller registers its `release` in the same step. */
  lease(): BodyLease {
    return new BodyLease({
      take: (lease, bytes) => this.#take(lease, bytes),
      close: (lease) => this.#growing.delete(lease),
      giveBack: (bytes) => {
        this.#heldBytes -= bytes;
      },
    });
  }

  #take(lease: BodyLease, bytes: number): void {
    const now = performance.now();
    for (const stalled of this.#growing) {
      if (this.#heldBytes + bytes <= this.limitBytes || now - stalled.grownAt < STALLED_MS) break;
      if (stalled !== lease) stalled.release(tooManyBodies("stalled while others needed its room"));
    }
    if (this.#heldBytes + bytes > this.limitBytes) throw tooManyBodies(`${this.#heldBytes} bytes are held`);
    this.#heldBytes += bytes;
    lease.grownAt = now;
    // Behind all others: a Set keeps the order in which its members were added.
    this.#growing.delete(lease);
    this.#growing.add(lease);
  }
}

/** How a lease draws on its budget. */
interface Account {
  /** Throws `too_many_bodies` when there is no room. */
  take(lease: BodyLease, bytes: number): void;
  /** The body has come whole, or will not: it takes no more and need not give way. */
  close(lease: BodyLease): void;
  giveBack(bytes: number): void;
}

/**
 * What one body takes of the budget. Its exchange holds it from the start, and a connection while it sends the body;
 * when the last holder has let go, all of it is given back, once.
 */
export class BodyLease {
  /** When it took its last block, by `performance.now()`. */
  grownAt = 0;
  readonly #account: Account;
  #bytes = 0;
  #holders = 1;
  #isReleased = false;
  #onStop: ((error?: ProxyError) => void) | undefined;

  constructor(account: Account) {
    this.#account = account;
  }

  /** Calls back, at most once, when the body is not to be read any further: it gives way, or its exchange is over. */
  onStop(callback: (error?: ProxyError) => void): void {
    this.#onStop = callback;
  }

  /** Takes that many bytes more, or throws `too_many_bodies`. */
  grow(bytes: number): void {
    if (this.#isReleased) throw new TypeError("a body that was let go takes nothing more");
    this.#account.take(this, bytes);
    this.#bytes += bytes;
  }

  /** Nothing more will come. */
  close(): void {
    this.#onStop = undefined;
    this.#account.close(this);
  }

  /** Counts one more holder until what is returned is called; a second call does nothing. */
  hold(): Release {
    this.#holders++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#letGo();
      isHeld = false;
    };
  }

  /** The exchange lets go; a second call does nothing. */
  release(error?: ProxyError): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const onStop = this.#onStop;
    this.close();
    this.#letGo();
    onStop?.(error);
  }

  #letGo(): void {
    this.#holders--;
    if (this.#holders > 0) return;
    this.#account.giveBack(this.#bytes);
    this.#bytes = 0;
  }
}

function tooManyBodies(detail: string): ProxyError {
  return new ProxyError("too_many_bodies", `limits.bodiesBytes: ${detail}`, { fields: [retrySoon()] });
}
