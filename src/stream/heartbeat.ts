import type { FaultOwner } from "../base/guard.ts";

/** What has a heartbeat. */
export interface HeartbeatTarget extends FaultOwner {
  /** When something came last, by `performance.now()`. */
  readonly trafficAt: number;
  beat(): void;
}

/**
 * Has its owner beat whenever nothing has come for `ms`.
 *
 * A beat is put off here, when it would be due, and not as something comes: to move a timer is to look at those of
 * three other streams.
 */
export class Heartbeat {
  readonly #ms: number;
  readonly #owner: HeartbeatTarget;
  #timer: NodeJS.Timeout | undefined;

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
    // A beat may have been the end of its stream.
    if (this.#timer !== undefined) this.#beatIn(left <= 0 ? this.#ms : left);
  }

  #beat(): void {
    try {
      this.#owner.beat();
    } catch (error) {
      this.#owner.fault(error);
    }
  }
}
