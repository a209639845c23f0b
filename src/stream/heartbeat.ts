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

/** The parts of an interval: a heartbeat comes up to one part early, and never late. */
const PARTS = 64;

/** Calls its owner's `beat` whenever the backend was silent for `ms`, or up to 1/64 of it less. */
export class Heartbeat {
  readonly #owner: HeartbeatTarget;
  readonly #sweep: Sweep;
  #hasHinted = false;
  /** The time of the last beat; in whole ms, as V8 allocates an object for a fraction. */
  #beatAt = 0;

  constructor(ms: number, owner: HeartbeatTarget) {
    this.#owner = owner;
    this.#sweep = Sweep.every(ms);
    this.#sweep.add(this);
  }

  stop(): void {
    this.#sweep.delete(this);
  }

  /** Beats if the silence will have lasted for the whole interval before the next look. */
  look(now: number, earliestMs: number): void {
    if (now - Math.max(this.#owner.trafficAt, this.#beatAt) <= earliestMs) return;
    this.#beatAt = Math.trunc(now);
    try {
      this.#owner.beat();
      this.#hint(now);
    } catch (error) {
      this.#owner.fault(error);
    }
  }

  #hint(now: number): void {
    const { trafficAt, exchange } = this.#owner;
    if (this.#hasHinted || now - trafficAt < SILENCE_HINT_MS) return;
    this.#hasHinted = true;
    hintAtSilence(exchange);
  }
}

/**
 * Looks at all heartbeats of one interval. One timer serves them all, since a timer for each of ten thousand streams
 * took 300 bytes of each, and a hundredth of the time to open it.
 */
class Sweep {
  static readonly #all = new Map<number, Sweep>();
  readonly #ms: number;
  readonly #heartbeats = new Set<Heartbeat>();
  readonly #timer: NodeJS.Timeout;

  /** Returns the sweep of the heartbeats with an interval of `ms`. */
  static every(ms: number): Sweep {
    const present = Sweep.#all.get(ms);
    if (present !== undefined) return present;
    const sweep = new Sweep(ms);
    Sweep.#all.set(ms, sweep);
    return sweep;
  }

  private constructor(ms: number) {
    this.#ms = ms;
    this.#timer = setInterval(() => this.#lookAtAll(), ms / PARTS);
  }

  add(heartbeat: Heartbeat): void {
    this.#heartbeats.add(heartbeat);
  }

  delete(heartbeat: Heartbeat): void {
    // A second call of an emptied sweep must not remove the one that has followed it.
    if (!this.#heartbeats.delete(heartbeat) || this.#heartbeats.size > 0) return;
    clearInterval(this.#timer);
    Sweep.#all.delete(this.#ms);
  }

  #lookAtAll(): void {
    const now = performance.now();
    const earliestMs = this.#ms - this.#ms / PARTS;
    for (const heartbeat of this.#heartbeats) heartbeat.look(now, earliestMs);
  }
}
