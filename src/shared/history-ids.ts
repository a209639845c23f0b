/** What an id costs in the table that finds its position, beside its text. */
const ENTRY_COST = 40;

/** A text of its own in the memory: its header, and a byte for each character. */
export const textCost = (text: string): number => 20 + text.length;

/** The positions of ids that backends made, which do not say it themselves. */
export class HistoryIds {
  readonly #seqs = new Map<string, number>();

  get(id: string): number | undefined {
    return this.#seqs.get(id);
  }

  has(id: string): boolean {
    return this.#seqs.has(id);
  }

  /** Returns what the entry costs. */
  add(id: string, seq: number): number {
    this.#seqs.set(id, seq);
    return textCost(id) + ENTRY_COST;
  }

  /** Takes the id off an event that was evicted, unless it stands for a later one by now; returns what it had cost. */
  remove(id: string, seq: number): number {
    if (this.#seqs.get(id) === seq) this.#seqs.delete(id);
    return textCost(id) + ENTRY_COST;
  }

  clear(): void {
    this.#seqs.clear();
  }
}
