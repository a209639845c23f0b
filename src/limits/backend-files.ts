import type { Release } from "../base/release.ts";

/** A backend connection that no client uses now; returns whether it held a file, and has given it back. */
export type GiveUp = () => boolean;

/** The files that backend connections of streams take, and which of them give way when files are short. */
export class BackendFiles {
  #held = 0;
  /** The one that has been idle for the longest time comes first. */
  readonly #idle = new Set<GiveUp>();

  /** Files that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Counts one from before the dial until it is released, once, however often that is called. */
  hold(): Release {
    this.#held++;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#held--;
    };
  }

  /** Notes a connection that waits for a client to come back; what is returned takes it off the list. */
  offer(giveUp: GiveUp): Release {
    this.#idle.add(giveUp);
    return () => void this.#idle.delete(giveUp);
  }

  /** Ends the connection that has been idle for the longest time; false when none is idle. */
  reclaim(): boolean {
    for (const giveUp of this.#idle) {
      this.#idle.delete(giveUp);
      if (giveUp()) return true;
    }
    return false;
  }
}
