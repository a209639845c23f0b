import type { Issued, TicketStore } from "./counter-store.ts";

/** The unused tickets of a route, in this process. */
export class MemoryTickets implements TicketStore {
  /** In the order of issue: the oldest ticket is first. */
  readonly #issued = new Map<string, Issued>();

  put(hash: string, issued: Issued, limit: number): number | undefined {
    const now = Date.now();
    this.#dropExpired(now);
    if (this.#issued.size < limit) {
      this.#issued.set(hash, issued);
      return undefined;
    }
    const [oldest] = this.#issued.values();
    return oldest?.expiresAt ?? now;
  }

  take(hash: string): Issued | undefined {
    const issued = this.#issued.get(hash);
    this.#issued.delete(hash);
    return issued;
  }

  /** Stops at the first valid ticket; some expired tickets may stay behind it, because lifetimes differ. */
  #dropExpired(now: number): void {
    for (const [hash, { expiresAt }] of this.#issued) {
      if (expiresAt > now) return;
      this.#issued.delete(hash);
    }
  }
}
