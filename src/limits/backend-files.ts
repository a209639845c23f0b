import type { Release } from "../base/release.ts";

/** Ends a backend connection that no client uses; returns whether it held a file, which is then released. */
export type GiveUp = () => boolean;

/** The files that the backend connections of streams hold, and the idle connections to end when files run short. */
export class BackendFiles {
  #held = 0;
  /** The connection that has been idle longest is first. */
  readonly #idle = new Set<GiveUp>();

  /** Files held now. */
  get held(): number {
    return this.#held;
  }

  /** Counts a file, from before the dial until it is released. */
  hold(): Release {
    this.take();
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.giveBack();
    };
  }

  /** Counts a file until `giveBack` is called for it, once. */
  take(): void {
    this.#held++;
  }

  giveBack(): void {
    this.#held--;
  }

  /**
   * Registers an idle connection, kept for a reconnecting client; returns a function that removes it from the
   * list.
   */
  offer(giveUp: GiveUp): Release {
    this.#idle.add(giveUp);
    return () => void this.#idle.delete(giveUp);
  }

  /** Ends the connection that has been idle longest; returns false if none is idle. */
  reclaim(): boolean {
    for (const giveUp of this.#idle) {
      this.#idle.delete(giveUp);
      if (giveUp()) return true;
    }
    return false;
  }
}
