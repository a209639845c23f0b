/** Bytes of an entry in the table of ids, without the id's text. */
const ENTRY_COST = 40;

/** Bytes of a string in V8: a header, and one byte for each latin1 character. */
export const textCost = (text: string): number => 20 + text.length;

/** The positions of the ids that backends made; an id that a record made contains its position. */
export class HistoryIds {
  readonly #seqs = new Map<string, number>();

  get(id: string): number | undefined {
    return this.#seqs.get(id);
  }

  has(id: string): boolean {
    return this.#seqs.has(id);
  }

  /** Returns the bytes that the entry takes. */
  add(id: string, seq: number): number {
    this.#seqs.set(id, seq);
    return textCost(id) + ENTRY_COST;
  }

  /** Removes the id of an evicted event, unless a later event has it by now; returns the bytes that the entry took. */
  remove(id: string, seq: number): number {
    if (this.#seqs.get(id) === seq) this.#seqs.delete(id);
    return textCost(id) + ENTRY_COST;
  }

  clear(): void {
    this.#seqs.clear();
  }
}
