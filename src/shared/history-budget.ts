/** A history, as its budget sees it. */
export interface Shedding {
  /** Bytes of memory that it takes. */
  readonly heldBytes: number;
  /** Frees at least so many bytes, or all that it holds. */
  shed(bytes: number): void;
}

/**
 * Bounds the memory of all histories together: beyond `limits.historyBytes` the least recently used history evicts its
 * oldest events. Without this bound, a client that asks for many streams could fill the memory.
 */
export class HistoryBudget {
  #limit: number;
  /** Histories that are not empty, least recently used first. */
  readonly #holders = new Set<Shedding>();
  /** The last of them, which is not moved again: V8 makes a new table every few times. */
  #newest: Shedding | undefined;
  #bytes = 0;
  #isShedding = false;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  set limitBytes(bytes: number) {
    this.#limit = bytes;
    if (this.#bytes > bytes) this.#shed();
  }

  /** Bytes of memory that all histories take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts bytes that a history has taken or, if negative, freed. */
  grow(holder: Shedding, bytes: number): void {
    this.#bytes += bytes;
    if (bytes > 0 && !this.#holders.has(holder)) this.#append(holder);
    if (this.#bytes > this.#limit && !this.#isShedding) this.#shed();
  }

  /** Marks a history as most recently used. */
  touch(holder: Shedding): void {
    if (holder !== this.#newest && this.#holders.delete(holder)) this.#append(holder);
  }

  /** Removes a history that is empty. */
  remove(holder: Shedding): void {
    this.#holders.delete(holder);
    if (holder === this.#newest) this.#newest = undefined;
  }

  #append(holder: Shedding): void {
    this.#holders.add(holder);
    this.#newest = holder;
  }

  #shed(): void {
    // Each eviction reports the bytes that it frees to `grow`, which must not begin another round.
    this.#isShedding = true;
    for (const holder of this.#holders) {
      holder.shed(this.#bytes - this.#limit);
      if (holder.heldBytes === 0) this.#holders.delete(holder);
      if (this.#bytes <= this.#limit) break;
    }
    this.#isShedding = false;
  }
}
