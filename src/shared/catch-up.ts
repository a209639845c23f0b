import type { History } from "./history.ts";
import type { ChannelStore } from "./store.ts";

/** A client that reconnects with an id. */
interface Returning {
  readonly lastEventId: string;
}

/**
 * Waits for the last event of a reconnecting client: another instance may have delivered it a moment ago, before this one
 * has read it. Without that, a client that changes from one instance to another would get a gap event although it has missed nothing.
 */
export class CatchUp {
  readonly #history: History;
  readonly #store: ChannelStore;
  readonly #onFault: (error: unknown) => void;
  /** Made for the first client that waits: V8 walks each weak collection at each collection of young objects. */
  #underWay: WeakSet<Returning> | undefined;

  constructor(history: History, store: ChannelStore, onFault: (error: unknown) => void) {
    this.#history = history;
    this.#store = store;
    this.#onFault = onFault;
  }

  /** Whether a client has to wait; `onSought` is called once, when the history has every event that is in the store. */
  seek(client: Returning, onSought: () => void): boolean {
    if (this.#underWay?.has(client) === true) return true;
    const { lastEventId } = client;
    if (lastEventId === "" || this.#history.seqOf(lastEventId) !== undefined) return false;
    const read = this.#store.catchUp();
    if (read === undefined) return false;
    this.#underWay ??= new WeakSet();
    const underWay = this.#underWay;
    underWay.add(client);
    void read
      .then(() => {
        underWay.delete(client);
        onSought();
      })
      .catch(this.#onFault);
    return true;
  }
}
