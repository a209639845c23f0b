import { guarded } from "../base/guard.ts";
import { eachRecipient } from "./delivery.ts";

/** The longest sleep: a clock that is set meanwhile is noticed no later than this. */
const MAX_SLEEP_MS = 60_000;

/** Whoever has a last moment. */
export interface Mortal {
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
  readonly #mortals = new Set<Mortal>();
  readonly #onTime: () => void;
  #timer: NodeJS.Timeout | undefined;
  #next = Number.POSITIVE_INFINITY;

  constructor(onFault: (error: unknown) => void) {
    this.#onTime = guarded(onFault, () => this.#sweep());
  }

  add(mortal: Mortal): void {
    if (mortal.deadline === Number.POSITIVE_INFINITY) return;
    this.#mortals.add(mortal);
    if (mortal.deadline < this.#next) this.#arm(mortal.deadline);
  }

  delete(mortal: Mortal): void {
    if (!this.#mortals.delete(mortal) || this.#mortals.size > 0) return;
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
    for (const mortal of this.#mortals) {
      if (mortal.deadline > now) continue;
      this.#mortals.delete(mortal);
      eachRecipient([mortal], (due) => due.expire());
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#mortals) next = Math.min(next, deadline);
    if (next === Number.POSITIVE_INFINITY) this.#next = next;
    else this.#arm(next);
  }
}
