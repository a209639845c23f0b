import { randomBytes } from "node:crypto";
import { makeId, withId } from "./event-id.ts";
import type { BackendState, ChannelFeed, ChannelStore, Draft, Store, StoredEvent } from "./store.ts";

/**
 * Records that live with their channels in this process: an event is safe at once, and every channel leads. Nothing is
 * kept beside the channel's own history.
 */
export class MemoryStore implements Store {
  open(): ChannelStore {
    return new MemoryChannelStore();
  }

  async close(): Promise<void> {}
}

class MemoryChannelStore implements ChannelStore {
  /** Random, so that an id of an earlier process never matches one of this process. */
  readonly #epoch = randomBytes(6).toString("hex");
  #seq = 0;
  #feed: ChannelFeed | undefined;

  start(feed: ChannelFeed): void {
    this.#feed = feed;
    feed.onRecord({ epoch: this.#epoch, lastSeq: 0, events: [] });
    feed.onState({ is: "connecting" });
    feed.onLead();
  }

  append(drafts: readonly Draft[]): void {
    const at = Date.now();
    this.#feed?.onEvents(drafts.map((draft) => this.#store(draft, at)));
  }

  catchUp(): undefined {
    return undefined;
  }

  announce(state: BackendState): void {
    this.#feed?.onState(state);
  }

  close(): void {
    this.#feed = undefined;
  }

  #store({ id, showsId, backendId, block }: Draft, at: number): StoredEvent {
    this.#seq += 1;
    const own = id ?? makeId(this.#epoch, this.#seq);
    return { seq: this.#seq, id: own, backendId, block: showsId ? withId(block, own) : block, at };
  }
}
