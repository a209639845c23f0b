import type { Principal } from "../exchange/principal.ts";

/** What a ticket stands for. */
export interface Issued {
  readonly principal: Principal;
  readonly path: string;
  readonly expiresAt: number;
}

/** Tickets that wait to be used, by the hashes of their texts. */
export interface TicketBox {
  /** Keeps one; when `limit` of them wait already, tells instead when the oldest of them expires. */
  put(hash: string, issued: Issued, limit: number): number | undefined | Promise<number | undefined>;
  /** Takes one out: of two who ask for it exactly one gets it. */
  take(hash: string): Issued | undefined | Promise<Issued | undefined>;
}

/** Tickets in this process. */
export class MemoryTicketBox implements TicketBox {
  /** In the order of their issue, so the oldest is the first. */
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

  /** From the oldest on; lifetimes may be shorter than the route's, so a few expired ones may stay for it. */
  #dropExpired(now: number): void {
    for (const [hash, { expiresAt }] of this.#issued) {
      if (expiresAt > now) return;
      this.#issued.delete(hash);
    }
  }
}
