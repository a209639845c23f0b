import { guarded } from "../base/guard.ts";
import { eachRecipient } from "./delivery.ts";

/** The longest sleep: a clock that is set meanwhile is noticed no later than this. */
const MAX_SLEEP_MS = 60_000;

/** Whoever has a last moment. */
export interface Expiring {
  /** In ms since the epoch of the clock; Infinity for none. */
  readonly deadline: number;
  /** The moment has come. */
  expire(): void;
  /** Ends it alone, with an error of our own. */
  fail(error: unknown): void;
}

/**
 * Ends streams at their deadlines with one timer for all of a channel: a timer for each of ten thousand clients
 * would be most of what they cost.
 */
export class Deadlines {
  readonly #members = new Set<Expiring>();
  readonly #onTime: () => void;
  #timer: NodeJS.Timeout | undefined;
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
    clearTimeout(this.#timer);
    this.#next = Number.POSITIVE_INFINITY;
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#next = at;
    this.#timer = setTimeout(this.#onTime, Math.max(0, Math.min(at - Date.now(), MAX_SLEEP_MS)));
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
