import type { SharedConfig } from "../config/shared-schema.ts";
import { BlockSplitter } from "../sse/block-splitter.ts";
import { type EventFields, readEventFields, withoutId } from "../sse/event-fields.ts";
import { isUsableId } from "./event-id.ts";
import { gapBlock } from "./gap.ts";
import type { History } from "./history.ts";
import type { Draft } from "./store.ts";

/** A longer id is not passed on as one: a client would have to send it back in a header field. */
const MAX_ID_BYTES = 1024;

/** As many ids as may be on their way into a record that is not in this process. */
const MAX_UNCONFIRMED = 1024;

/** What a chunk of a backend's stream holds. */
export interface ReceivedDrafts {
  readonly drafts: readonly Draft[];
  /** The last reconnection time in it. */
  readonly retryMs: number | undefined;
}

interface BackendEventReaderOptions {
  readonly config: Pick<SharedConfig, "ids" | "maxEvent">;
  readonly history: History;
  /** Told when an id comes again with another event. */
  onReusedId(id: string): void;
}

/** Makes drafts of what the backend of one stream sends, across all of its connections. */
export class BackendEventReader {
  readonly #options: BackendEventReaderOptions;
  #splitter: BlockSplitter;
  #lastBackendId = "";
  /** Ids given to the record, which may not have confirmed them yet. */
  readonly #used = new Set<string>();
  /** Set after a redial, until the backend sends what is new: positions of events that it may repeat, by their ids. */
  #repeated: Map<string, number> | undefined;
  /** The position of the last event that came again. */
  #repeatedSeq = 0;

  constructor(options: BackendEventReaderOptions) {
    this.#options = options;
    this.#splitter = new BlockSplitter(options.config.maxEvent);
  }

  /** What the backend is asked to go on behind; empty when it has sent no id. Bytes as latin1. */
  get lastBackendId(): string {
    return this.#lastBackendId;
  }

  /** Begins a connection's stream; what the last one left incomplete was no event. */
  begin(lastBackendId: string): void {
    this.#splitter = new BlockSplitter(this.#options.config.maxEvent);
    this.#lastBackendId = lastBackendId;
    this.#repeated = repeatable(this.#options.history);
    this.#repeatedSeq = 0;
  }

  /** Undefined when an event is longer than `maxEvent`. */
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

  /** A mark for what the backend may have sent while nobody listened. */
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

  /** Whether it can be the id of one event of the record, and of no other. */
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

  /** What the record has by now need not be remembered here. */
  #forgetConfirmed(): void {
    for (const id of this.#used) {
      if (!this.#options.history.has(id)) return;
      this.#used.delete(id);
    }
  }

  /** Whether a redialled backend sends again what is in the record; the same id alone does not make it so. */
  #isRepeated(window: ReadonlyMap<string, number>, block: Buffer, { id }: EventFields): boolean {
    if (id === undefined) {
      // Between events that come again, one without an id may come again too.
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
    // It was evicted meanwhile: better twice than not at all.
    if (known === undefined) return false;
    if (isSameEvent(block, known.block)) {
      this.#repeatedSeq = known.seq;
      return true;
    }
    this.#options.onReusedId(id);
    return false;
  }
}

/** The events that bore an id of the backend's, by it. */
function repeatable(history: History): Map<string, number> | undefined {
  const window = new Map<string, number>();
  let before = "";
  for (const { backendId, seq } of history.eachAfter(0)) {
    if (backendId !== before && backendId !== "") window.set(backendId, seq);
    before = backendId;
  }
  return window.size === 0 ? undefined : window;
}

/** Ids apart, because we may have put ours in the place of the backend's. */
function isSameEvent(a: Buffer, b: Buffer): boolean {
  return a.equals(b) || withoutId(a).equals(withoutId(b));
}
