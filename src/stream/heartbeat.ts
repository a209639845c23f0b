import type { FaultOwner } from "../base/guard.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { hintAtSilence, SILENCE_HINT_MS } from "./silence-hint.ts";

/** A stream with a heartbeat. */
export interface HeartbeatTarget extends FaultOwner {
  readonly exchange: Exchange;
  /** When the backend last sent something, by `performance.now()`. */
  readonly trafficAt: number;
  /** The stream was silent for the whole interval. */
  beat(): void;
}

/**
 * Calls its owner's `beat` whenever the backend was silent for `ms`.
 *
 * The timer is not moved with every event: it runs out, and then waits for the rest of the interval. Moving a timer
 * touches its neighbours in Node's timer list, which are timers of other streams: three cache misses per event.
 */
export class Heartbeat {
  readonly #ms: number;
  readonly #owner: HeartbeatTarget;
  #timer: NodeJS.Timeout | undefined;
  #hasHinted = false;

  constructor(ms: number, owner: HeartbeatTarget) {
    this.#ms = ms;
    this.#owner = owner;
    this.#beatIn(ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #beatIn(ms: number): void {
    this.#timer = setTimeout(() => this.#onTime(), ms);
  }

  #onTime(): void {
    const left = Math.floor(this.#ms - (performance.now() - this.#owner.trafficAt));
    if (left <= 0) this.#beat();
    // `beat` may have ended the stream.
    if (this.#timer !== undefined) this.#beatIn(left <= 0 ? this.#ms : left);
  }

  #beat(): void {
    try {
      this.#owner.beat();
      this.#hint();
    } catch (error) {
      this.#owner.fault(error);
    }
  }

  #hint(): void {
    const { trafficAt, exchange } = this.#owner;
    if (this.#hasHinted || performance.now() - trafficAt < SILENCE_HINT_MS) return;
    this.#hasHinted = true;
    hintAtSilence(exchange);
  }
}
