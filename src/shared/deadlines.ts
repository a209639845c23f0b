import { atWallClock } from "../base/at-wall-clock.ts";
import { guarded } from "../base/guard.ts";
import { eachRecipient } from "./delivery.ts";

/** A client whose stream ends at a deadline. */
export interface Expiring {
  /** In ms since the Unix epoch; Infinity for none. */
  readonly deadline: number;
  /** The deadline has passed. */
  expire(): void;
  /** Ends this client alone, with a fault. */
  fail(error: unknown): void;
}

/**
 * Ends streams at their deadlines with one timer for all clients of a channel: a timer for each of ten thousand clients
 * would be most of what they cost.
 */
export class Deadlines {
  readonly #members = new Set<Expiring>();
  readonly #onTime: () => void;
  #cancel: (() => void) | undefined;
  /** The deadline that the timer waits for. */
  #next = Number.POSITIVE_INFINITY;

  constructor(onFault: (error: unknown) => void) {
    this.#onTime = guarded(onFault, () => this.#sweep());
  }

  add(member: Expiring): void {
    if (member.deadline === Number.POSITIVE_INFINITY) return;
    this.#members.add(member);
    if (member.deadline < this.#next) this.#arm(member.deadline);
  }

  delete(member: Expiring): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#cancel?.();
    this.#next = Number.POSITIVE_INFINITY;
  }

  #arm(at: number): void {
    this.#cancel?.();
    this.#next = at;
    this.#cancel = atWallClock(at, this.#onTime);
  }

  #sweep(): void {
    const now = Date.now();
    for (const member of this.#members) {
      if (member.deadline > now) continue;
      this.#members.delete(member);
      eachRecipient([member], (due) => due.expire());
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#members) next = Math.min(next, deadline);
    if (next === Number.POSITIVE_INFINITY) this.#next = next;
    else this.#arm(next);
  }
}
