import { pino } from "pino";
import { redisSchema } from "../../src/config/redis-schema.ts";
import type { Log } from "../../src/observe/log.ts";
import { RedisStore } from "../../src/redis/store.ts";
import { History } from "../../src/shared/history.ts";
import type {
  BackendState,
  ChannelFeed,
  ChannelStore,
  Draft,
  HistoryBounds,
  StoredEvent,
  StreamRecord,
} from "../../src/shared/store.ts";
import { afterTest } from "./after-test.ts";

const BOUNDS: HistoryBounds = { events: 1000, bytes: 8 * 1024 ** 2, ageMs: 600_000 };

/** A channel without clients that records all calls of its store. */
export class RecordFeed implements ChannelFeed {
  readonly store: ChannelStore;
  readonly history: History;
  /** `lead`, `follow`, `degraded`, `safe`, and `record` for each record that replaced another. */
  readonly told: string[] = [];
  /** The ids in the order of their live delivery. */
  readonly live: string[] = [];
  readonly states: BackendState[] = [];
  isLeading = false;
  isDegraded = false;
  #records = 0;

  constructor(store: RedisStore, { key = "stream", definition = "one", bounds = BOUNDS } = {}) {
    this.history = new History(bounds);
    this.store = store.open({ key, route: "test", definition, bounds });
  }

  start(): this {
    this.store.start(this);
    return this;
  }

  /** All ids in the history, oldest first. */
  get ids(): string[] {
    return this.history.after(0).map(({ id }) => id);
  }

  get records(): number {
    return this.#records;
  }

  append(...ids: readonly string[]): void {
    this.store.append(ids.map(draft));
  }

  onRecord(record: StreamRecord): void {
    this.#records += 1;
    this.told.push("record");
    this.history.reset(record);
  }

  onEvents(events: readonly StoredEvent[]): void {
    for (const event of events) {
      // Every channel relies on this order.
      if (event.seq !== this.history.lastSeq + 1)
        throw new Error(`position ${event.seq} after ${this.history.lastSeq}`);
      this.history.push(event);
      this.live.push(event.id);
    }
  }

  onState(state: BackendState): void {
    this.states.push(state);
  }

  onLead(): void {
    this.isLeading = true;
    this.told.push("lead");
  }

  onFollow(): void {
    this.isLeading = false;
    this.told.push("follow");
  }

  onDegraded(isDegraded: boolean): void {
    this.isDegraded = isDegraded;
    this.told.push(isDegraded ? "degraded" : "safe");
  }

  held(afterSeq: number): readonly StoredEvent[] {
    return this.history.after(afterSeq);
  }
}

/** Creates an event with an id of the backend. */
export const draft = (id: string): Draft => ({
  id,
  showsId: false,
  backendId: id,
  block: Buffer.from(`id: ${id}\ndata: ${id}\n\n`),
});

/** Creates an event without an id: the store assigns one. */
export const draftWithoutId = (text: string): Draft => ({
  id: undefined,
  showsId: true,
  backendId: "",
  block: Buffer.from(`data: ${text}\n\n`),
});

/** Creates the record store of one instance, at a URL or the `redis` of sluice.yaml; closes it when the test ends. */
export function startStore(
  where: string | Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>> = {},
  log: Log = pino({ level: "silent" }),
): RedisStore {
  const servers = typeof where === "string" ? { url: where } : where;
  const config = redisSchema.parse({ ...servers, lease: "1s", timeout: "500ms", ...options });
  if (config === null) throw new TypeError("a store needs a Redis");
  const store = new RedisStore(config, log);
  afterTest(() => store.close());
  return store;
}

/** Returns the ids from `first` to `last`. */
export const idsFrom = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, at) => String(first + at));
