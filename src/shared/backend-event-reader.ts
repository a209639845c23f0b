import type { SharedConfig } from "../config/shared-schema.ts";
import { BlockSplitter } from "../sse/block-splitter.ts";
import { type EventFields, readEventFields, withoutId } from "../sse/event-fields.ts";
import { isUsableId } from "./event-id.ts";
import { gapBlock } from "./gap.ts";
import type { History } from "./history.ts";
import type { Draft } from "./store.ts";

/** The longest id of a backend that clients are given: they send it back in a header field. */
const MAX_ID_BYTES = 1024;

/** How many ids are remembered until the record, which may be in another process, has their events. */
const MAX_UNCONFIRMED = 1024;

/** The result of reading a chunk of a backend's stream. */
export interface ReceivedDrafts {
  readonly drafts: readonly Draft[];
  /** The last reconnection time in the chunk, in ms. */
  readonly retryMs: number | undefined;
}

interface BackendEventReaderOptions {
  readonly config: Pick<SharedConfig, "ids" | "maxEvent">;
  readonly history: History;
  /** Called when the backend uses an id again for another event. */
  onReusedId(id: string): void;
}

/** Reads the events of one stream from its backend, across reconnections, and makes a draft for each new one. */
export class BackendEventReader {
  readonly #options: BackendEventReaderOptions;
  #splitter: BlockSplitter;
  #lastBackendId = "";
  /** Ids of drafts that the record may not have stored yet. */
  readonly #used = new Set<string>();
  /** The positions of events that a redialled backend may repeat, by their ids; undefined after its first new event. */
  #repeated: Map<string, number> | undefined;
  /** The position of the last repeated event; 0 before the first. */
  #repeatedSeq = 0;

  constructor(options: BackendEventReaderOptions) {
    this.#options = options;
    this.#splitter = new BlockSplitter(options.config.maxEvent);
  }

  /** The id to send to the backend in Last-Event-ID; empty if it has sent none. Bytes as latin1. */
  get lastBackendId(): string {
    return this.#lastBackendId;
  }

  /** Begins the stream of a new connection; an incomplete event of the last connection is dropped. */
  begin(lastBackendId: string): void {
    this.#splitter = new BlockSplitter(this.#options.config.maxEvent);
    this.#lastBackendId = lastBackendId;
    this.#repeated = repeatable(this.#options.history);
    this.#repeatedSeq = 0;
  }

  /** Reads a chunk; returns undefined if an event is longer than `maxEvent`. */
  feed(chunk: Buffer): ReceivedDrafts | undefined {
    const blocks = this.#splitter.feed(chunk);
    if (blocks === undefined) return undefined;
    this.#forgetConfirmed();
    const drafts: Draft[] = [];
    let retryMs: number | undefined;
    for (const block of blocks) {
      const fields = readEventFields(block);
      retryMs = fields.retry ?? retryMs;
      if (fields.isRetryOnly) continue;
      if (fields.id !== undefined) this.#lastBackendId = isUsableId(fields.id) ? fields.id : "";
      if (this.#repeated === undefined || !this.#isRepeated(this.#repeated, block, fields)) {
        drafts.push(this.#draft(block, fields));
      }
    }
    return { drafts, retryMs };
  }

  /** Returns a gap event for the events that the backend may have sent while no connection was open. */
  gap(): Draft {
    const { history, config } = this.#options;
    const block = gapBlock(history.lastId, "live");
    return { id: undefined, showsId: config.ids !== "never", backendId: this.#lastBackendId, block };
  }

  #draft(block: Buffer, { id }: EventFields): Draft {
    const { ids } = this.#options.config;
    const backendId = this.#lastBackendId;
    if (id !== undefined && ids !== "always" && this.#isNew(id)) {
      return { id, showsId: false, backendId, block };
    }
    if (ids === "never") return { id: undefined, showsId: false, backendId, block };
    return {
      id: undefined,
      showsId: true,
      backendId,
      block: id === undefined ? block : withoutId(block),
    };
  }

  /** Whether an id is usable and belongs to no other event of the record. */
  #isNew(id: string): boolean {
    if (id.length > MAX_ID_BYTES || !isUsableId(id)) return false;
    if (this.#used.has(id) || this.#options.history.has(id)) return false;
    this.#used.add(id);
    if (this.#used.size > MAX_UNCONFIRMED) {
      for (const oldest of this.#used) {
        this.#used.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** Forgets the ids whose events the record has stored. */
  #forgetConfirmed(): void {
    for (const id of this.#used) {
      if (!this.#options.history.has(id)) return;
      this.#used.delete(id);
    }
  }

  /** Whether a redialled backend repeats an event of the record: its bytes must be equal, not only its id. */
  #isRepeated(window: ReadonlyMap<string, number>, block: Buffer, { id }: EventFields): boolean {
    if (id === undefined) {
      // Between repeated events, an event without an id may be repeated too.
      const next = this.#repeatedSeq === 0 ? undefined : this.#options.history.at(this.#repeatedSeq + 1);
      if (next === undefined || !isSameEvent(block, next.block)) return false;
      this.#repeatedSeq = next.seq;
      return true;
    }
    const seq = window.get(id);
    if (seq === undefined) {
      this.#repeated = undefined;
      return false;
    }
    const known = this.#options.history.at(seq);
    // The event was evicted, so it cannot be compared: sending it twice is better than losing it.
    if (known === undefined) return false;
    if (isSameEvent(block, known.block)) {
      this.#repeatedSeq = known.seq;
      return true;
    }
    this.#options.onReusedId(id);
    return false;
  }
}

/** Returns the positions of the events that came with an id of the backend, by that id. */
function repeatable(history: History): Map<string, number> | undefined {
  const window = new Map<string, number>();
  let before = "";
  for (const { backendId, seq } of history.eachAfter(0)) {
    if (backendId !== before && backendId !== "") window.set(backendId, seq);
    before = backendId;
  }
  return window.size === 0 ? undefined : window;
}

/** Compares two events without their ids, because the record may have replaced the backend's id. */
function isSameEvent(a: Buffer, b: Buffer): boolean {
  return a.equals(b) || withoutId(a).equals(withoutId(b));
}
