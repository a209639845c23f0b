import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import { retrySoon } from "../http/retry-after.ts";

/** A body without a new block for this long, in ms, is dropped when another body needs its room. */
const STALLED_MS = 5_000;

/**
 * The memory of all request bodies that are held whole in one process: at most `limits.bodiesBytes`.
 *
 * A body takes its room as it comes, not when it is announced: a client that announces 12 MiB and sends nothing holds
 * nothing. A client that stalls holds what it has sent, but only until another body needs the room, `STALLED_MS` after
 * the last block.
 */
export class BodyBudget {
  /** In bytes. Lowering it takes nothing from bodies that are held. */
  limitBytes: number;
  #heldBytes = 0;
  /** Leases of incomplete bodies, in the order of their last blocks. */
  readonly #growing = new Set<BodyLease>();

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** Returns a lease for one body, still without bytes. The caller registers its `release` in the same step. */
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
      if (stalled !== lease)
        stalled.release(tooManyBodies("the body stalled while other bodies needed its memory"));
    }
    if (this.#heldBytes + bytes > this.limitBytes) throw tooManyBodies(`${this.#heldBytes} bytes are held`);
    this.#heldBytes += bytes;
    lease.grownAt = now;
    // Added last: a Set keeps the order in which its members were added.
    this.#growing.delete(lease);
    this.#growing.add(lease);
  }
}

/** The budget, as its leases use it. */
interface Budget {
  /** Throws `too_many_bodies` if there is no room. */
  take(lease: BodyLease, bytes: number): void;
  /** Notes that no more bytes of the body will come, complete or not: it is no longer dropped for other bodies. */
  close(lease: BodyLease): void;
  giveBack(bytes: number): void;
}

/**
 * The memory of one body. Its exchange holds it from the start; a connection holds it while it sends the body. When the
 * last holder has released it, all bytes are given back, once.
 */
export class BodyLease {
  /** The time of its last block, by `performance.now()`. */
  grownAt = 0;
  readonly #budget: Budget;
  #bytes = 0;
  #holders = 1;
  #isReleased = false;
  #onStop: ((error?: ProxyError) => void) | undefined;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Calls back, at most once, when reading must stop: the body is dropped, or its exchange has ended. */
  onStop(callback: (error?: ProxyError) => void): void {
    this.#onStop = callback;
  }

  /** Takes more bytes, or throws `too_many_bodies`. */
  grow(bytes: number): void {
    if (this.#isReleased) throw new TypeError("a released body cannot grow");
    this.#budget.take(this, bytes);
    this.#bytes += bytes;
  }

  /** Notes that nothing more will come. */
  close(): void {
    this.#onStop = undefined;
    this.#budget.close(this);
  }

  /** Adds a holder until the returned function is called; a second call does nothing. */
  hold(): Release {
    this.#holders++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#letGo();
      isHeld = false;
    };
  }

  /** Releases the exchange's hold; a second call does nothing. */
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
    this.#budget.giveBack(this.#bytes);
    this.#bytes = 0;
  }
}

function tooManyBodies(detail: string): ProxyError {
  return new ProxyError("too_many_bodies", `limits.bodiesBytes: ${detail}`, { fields: [retrySoon()] });
}
