import type { History } from "./history.ts";
import type { ChannelStore } from "./store.ts";

/** Who comes back with an id. */
interface Returning {
  readonly lastEventId: string;
}

/**
 * Looks for the last event of clients that come back: another instance may have delivered it a moment ago, and it
 * is on its way here. Without that, a client that changes from one instance to the other would be told of a gap
 * that there is not.
 */
export class CatchUp {
  readonly #history: History;
  readonly #store: ChannelStore;
  readonly #onFault: (error: unknown) => void;
  readonly #underWay = new WeakSet<Returning>();

  constructor(history: History, store: ChannelStore, onFault: (error: unknown) => void) {
    this.#history = history;
    this.#store = store;
    this.#onFault = onFault;
  }

  /** Whether a client has to wait; `onSought` is called when all has come that there is, once. */
  seek(client: Returning, onSought: () => void): boolean {
    if (this.#underWay.has(client)) return true;
    const { lastEventId } = client;
    if (lastEventId === "" || this.#history.seqOf(lastEventId) !== undefined) return false;
    const read = this.#store.catchUp();
    if (read === undefined) return false;
    this.#underWay.add(client);
    void read
      .then(() => {
        this.#underWay.delete(client);
        onSought();
      })
      .catch(this.#onFault);
    return true;
  }
}
