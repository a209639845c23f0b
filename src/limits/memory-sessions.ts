import type { SessionBounds } from "./counter-store.ts";

/** The backends of the sessions of one route, in this process. */
export class MemorySessions {
  /** By session, in the order of the last use: the longest unused one is first. */
  readonly #sessions = new Map<string, { readonly backend: string; readonly expiresAt: number }>();

  /** Returns the backend of a session, whose time then begins anew. */
  find(session: string, bounds: SessionBounds): string | undefined {
    const found = this.#sessions.get(session);
    if (found === undefined) return undefined;
    if (found.expiresAt > performance.now()) this.put(session, found.backend, bounds);
    else this.#sessions.delete(session);
    return this.#sessions.get(session)?.backend;
  }

  put(session: string, backend: string, { maxKeys, expires }: SessionBounds): void {
    const now = performance.now();
    this.#sessions.delete(session);
    this.#sessions.set(session, { backend, expiresAt: now + expires });
    for (const [oldest, { expiresAt }] of this.#sessions) {
      if (this.#sessions.size <= maxKeys && expiresAt > now) return;
      this.#sessions.delete(oldest);
    }
  }
}
