import { guarded } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";
import { eachRecipient } from "./delivery.ts";

/** A client that may stop reading. */
export interface Taker {
  /** Bytes of its response that the kernel has taken. */
  readonly takenBytes: number;
  /** Bytes of its response that the kernel has not taken. */
  readonly pendingBytes: number;
  /** The position up to which it has been given all events. */
  readonly seq: number;
  abort(reason: EndReason): void;
  /** Ends this client alone, with a fault. */
  fail(error: unknown): void;
}

/** How often within the timeout the clients are checked. */
const LOOKS = 4;

interface Look {
  taken: number;
  at: number;
}

/**
 * Ends each client of a channel that has pending bytes and took none of them for `stream.sendTimeout`.
 *
 * One timer serves all clients of the channel: a pause of the network can put ten thousand clients behind at once, and
 * `StallTimer` would then cost a timer for each. The price: a client is ended up to a quarter of the timeout late.
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
    // Checks at the end of the turn, after pending bytes have been written: a process that stood still could not write
    // them before.
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
      if (taker.pendingBytes === 0) {
        this.delete(taker);
      } else if (taker.takenBytes > look.taken) {
        look.taken = taker.takenBytes;
        look.at = now;
      } else if (now - look.at >= timeoutMs) {
        eachRecipient([taker], (slow) => slow.abort("slow_client"));
      }
    }
  }
}
