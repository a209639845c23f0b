import { guarded } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";
import { eachRecipient } from "./delivery.ts";

/** Whoever may stop taking what it is given. */
export interface Taker {
  readonly takenBytes: number;
  /** The position up to which it has been given everything. */
  readonly seq: number;
  abort(reason: EndReason): void;
  /** Ends it alone, with an error of our own. */
  fail(error: unknown): void;
}

/** How many times within the timeout the takers are looked at. */
const LOOKS = 4;

interface Look {
  taken: number;
  at: number;
}

/**
 * Watches the clients of a channel that have not taken all of what they were given, with one timer for all: one
 * that has taken nothing for `stream.sendTimeout` is ended.
 */
export class StallWatch {
  readonly #timeoutMs: number | undefined;
  readonly #onFault: (error: unknown) => void;
  readonly #takers = new Map<Taker, Look>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number | undefined, onFault: (error: unknown) => void) {
    this.#onFault = onFault;
    this.#timeoutMs = timeoutMs;
  }

  get takers(): Iterable<Taker> {
    return this.#takers.keys();
  }

  add(taker: Taker): void {
    if (this.#takers.has(taker)) return;
    this.#takers.set(taker, { taken: taker.takenBytes, at: performance.now() });
    if (this.#timeoutMs === undefined || this.#timer !== undefined) return;
    const timeoutMs = this.#timeoutMs;
    // After what can be sent has been: a process that stood still has not tried meanwhile.
    const onTurn = guarded(this.#onFault, () => this.#look(timeoutMs));
    const look = () => setImmediate(onTurn);
    this.#timer = setInterval(look, Math.max(1, timeoutMs / LOOKS));
  }

  delete(taker: Taker): void {
    if (!this.#takers.delete(taker) || this.#takers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(timeoutMs: number): void {
    const now = performance.now();
    for (const [taker, look] of [...this.#takers]) {
      if (taker.takenBytes > look.taken) {
        look.taken = taker.takenBytes;
        look.at = now;
      } else if (now - look.at >= timeoutMs) {
        eachRecipient([taker], (slow) => slow.abort("slow_client"));
      }
    }
  }
}
