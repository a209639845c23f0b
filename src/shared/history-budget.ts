/** What is counted, and asked to give memory back. */
export interface Shedding {
  /** What it takes of the memory. */
  readonly heldBytes: number;
  /** Gives at least so many bytes back, or all that it has. */
  shed(bytes: number): void;
}

/**
 * Bounds the memory of all histories together: beyond `limits.historyBytes` the one that was not used for the longest time is
 * evicted from, oldest events first. Without it, whoever can ask for many streams could fill the memory.
 */
export class HistoryBudget {
  #limit: number;
  /** Least recently used first; only those that hold something. */
  readonly #holders = new Set<Shedding>();
  #bytes = 0;
  #isShedding = false;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  set limitBytes(bytes: number) {
    this.#limit = bytes;
    if (this.#bytes > bytes) this.#shed();
  }

  /** What all histories take of the memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that a history holds more, or less. */
  grow(holder: Shedding, bytes: number): void {
    this.#bytes += bytes;
    if (bytes > 0) this.#holders.add(holder);
    if (this.#bytes > this.#limit && !this.#isShedding) this.#shed();
  }

  /** Notes that it was used. */
  touch(holder: Shedding): void {
    if (this.#holders.delete(holder)) this.#holders.add(holder);
  }

  /** Forgets one that holds nothing any more. */
  remove(holder: Shedding): void {
    this.#holders.delete(holder);
  }

  #shed(): void {
    // Each eviction reports what it freed, through `grow`.
    this.#isShedding = true;
    for (const holder of this.#holders) {
      holder.shed(this.#bytes - this.#limit);
      if (holder.heldBytes === 0) this.#holders.delete(holder);
      if (this.#bytes <= this.#limit) break;
    }
    this.#isShedding = false;
  }
}
