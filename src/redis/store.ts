import { randomBytes } from "node:crypto";
import { guarded } from "../base/guard.ts";
import type { RedisConfig } from "../config/redis-schema.ts";
import type { CounterStore } from "../limits/counter-store.ts";
import type { Log } from "../observe/log.ts";
import type { AnswerIndex, ChannelStore, RecordOptions, Store } from "../shared/store.ts";
import { isEventBlock } from "../sse/event-fields.ts";
import { RedisAnswerIndex } from "./answer-index.ts";
import { RedisCluster } from "./cluster.ts";
import type { RedisCommands } from "./commands.ts";
import { RedisConnection } from "./connection.ts";
import { RedisCounterStore } from "./counter-store.ts";
import { RedisDefinitions } from "./definitions.ts";
import { isAnswerBlock } from "./entry.ts";
import { type InvalidKind, RedisFaults } from "./faults.ts";
import { type KeyLayout, type RecordKeys, recordKeys, rightsKey } from "./key.ts";
import { PageSize } from "./page-size.ts";
import { MAX_PAGE } from "./pages.ts";
import { RedisReader } from "./reader.ts";
import { RedisRecord } from "./record.ts";
import { RedisFault } from "./redis-fault.ts";
import { missingRights } from "./rights.ts";
import { SentinelWatch } from "./sentinel-watch.ts";
import { targetOf } from "./target.ts";

/** How many notices are kept: they are read as they come, and old ones are useless. */
const NOTICES = 1_000;
const NOTICES_MS = 60_000;

/**
 * How long a connection must last before Redis counts as back: a connection to a read-only replica ends at the first
 * write.
 */
const STEADY_MS = 1_000;

/** The state of the Redis store. */
export interface RedisHealth {
  /** Whether commands can be sent. */
  readonly isReady: boolean;
  /** Records whose delivered events are not all in Redis. */
  readonly degraded: number;
  /** Invalid data in Redis, by kind. */
  readonly invalid: ReadonlyMap<InvalidKind, number>;
}

/** Listens for faults and changes of the store that concern the whole gateway. */
export interface RedisListener {
  /** Called with each change of whether all delivered events are in Redis. */
  onHealth(isWhole: boolean): void;
  /** Called with each change of whether the user of Redis has all rights that sluice needs. */
  onRights(isComplete: boolean): void;
  /** Called with an unexpected error in a callback outside of any exchange. */
  onFault(error: unknown): void;
}

/**
 * Records that several instances share in one Redis: one instance asks the backend of a stream, all deliver its
 * events.
 *
 * Two connections serve any number of records: one for commands, and one that waits for events. With a cluster there is
 * one for commands to each node, and one that waits for events in each slot that records share.
 */
export class RedisStore implements Store {
  readonly #config: RedisConfig;
  readonly #log: Log;
  readonly #watch: SentinelWatch | undefined;
  readonly #commands: RedisCommands;
  readonly #pageSize = new PageSize(MAX_PAGE);
  readonly #layout: KeyLayout;
  /** By the stream of notices that each reads. */
  readonly #readers = new Map<string, RedisReader>();
  readonly #definitions: RedisDefinitions;
  readonly answers: AnswerIndex;
  readonly #owner = randomBytes(8).toString("hex");
  /** Open records, by their name in notices. */
  readonly #records = new Map<string, Set<RedisRecord>>();
  readonly #degraded = new Set<RedisRecord>();
  readonly #closing = new Set<Promise<void>>();
  readonly #faults: RedisFaults;
  readonly #listener: RedisListener | undefined;
  #isClosed = false;
  #isWhole = true;
  #isReported = false;
  /** The commands that the user may not run, as they were logged. */
  #forbidden = "";
  /** The timer after which the return of Redis is reported. */
  #steady: NodeJS.Timeout | undefined;

  /** Without a listener, faults are only logged. */
  constructor(config: RedisConfig, log: Log, listener?: RedisListener) {
    this.#config = config;
    this.#log = log;
    this.#listener = listener;
    const onFault = (err: unknown) => log.error({ code: "internal_error", err }, "internal error");
    const faults = new RedisFaults(log, (error) => (listener?.onFault ?? onFault)(error));
    this.#faults = faults;
    const { sentinel } = config;
    this.#watch = sentinel && new SentinelWatch(config, sentinel, faults.onFault);
    this.#commands = connect(config, `sluice-${this.#owner}`, faults, this.#watch);
    this.#layout = { prefix: config.prefix, isCluster: config.cluster !== undefined };
    this.#definitions = new RedisDefinitions(this.#commands, config.prefix, log);
    this.answers = new RedisAnswerIndex(this.#commands, this.#layout, config.timeout);
    this.#commands.onReady(() => this.#onReady());
    this.#commands.onAway(() => this.#onAway());
    this.#commands.onRefused((fault) => this.#reportAway(fault));
  }

  get health(): RedisHealth {
    const { invalid } = this.#faults;
    return { isReady: this.#commands.isReady, degraded: this.#degraded.size, invalid };
  }

  open({ key, route, definition, bounds, answer }: RecordOptions): ChannelStore {
    const { lease, timeout } = this.#config;
    const keys = recordKeys(this.#layout, route, key, definition);
    const shared = { connection: this.#commands, pageSize: this.#pageSize, owner: this.#owner };
    const keepMs = (answer?.keepMs ?? bounds.ageMs) + lease;
    const isBlock = answer === undefined ? isEventBlock : isAnswerBlock;
    const disuse = this.#definitions.use(route, definition);
    const record: RedisRecord = new RedisRecord({
      place: { ...shared, keys, bounds, isBlock, leaseMs: lease, keepMs },
      isFollower: answer?.isFollower === true,
      reader: this.#readerOf(keys),
      timeoutMs: timeout,
      notify: () => this.#notify(keys),
      onDegraded: (isDegraded) => this.#onDegraded(record, { route, record: keys.name, isDegraded }),
      onReplaced: () => this.#log.warn({ route, record: keys.name }, "shared history was replaced"),
      onClose: (closed) => {
        disuse();
        this.#onClose(record, keys, closed);
      },
    });
    this.#records.set(keys.name, (this.#records.get(keys.name) ?? new Set()).add(record));
    return record;
  }

  /** Returns the counters that all instances share; `own` counts what is not shared. */
  counters(own: CounterStore): CounterStore {
    return new RedisCounterStore(this.#commands, this.#config.prefix, own);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#steady);
    for (const record of this.#open()) record.close();
    // The timeouts of their commands bound the wait.
    await Promise.all(this.#closing);
    this.#definitions.close();
    for (const reader of this.#readers.values()) reader.close();
    this.#commands.close();
    this.#watch?.close();
  }

  /** Readers are kept: with a cluster there are few, and otherwise there is one. */
  #readerOf({ notices }: RecordKeys): RedisReader {
    const present = this.#readers.get(notices);
    if (present !== undefined) return present;
    const reader = new RedisReader({
      connection: this.#commands.dedicate(notices),
      commands: this.#commands,
      notices,
      onNotice: (name) => {
        for (const record of this.#records.get(name) ?? []) record.look();
      },
      onResume: () => {
        for (const record of this.#open()) if (record.notices === notices) record.look();
      },
    });
    this.#readers.set(notices, reader);
    return reader;
  }

  #open(): RedisRecord[] {
    return [...this.#records.values()].flatMap((group) => [...group]);
  }

  #notify({ name, notices }: RecordKeys): void {
    const told = Promise.all([
      this.#commands.command("XADD", [notices, "MAXLEN", "~", NOTICES, "*", "k", name]),
      this.#commands.command("PEXPIRE", [notices, NOTICES_MS]),
    ]);
    told.catch((error: unknown) => {
      // Without the notice, other instances look by themselves a little later.
      if (!(error instanceof RedisFault)) this.#faults.onFault(error);
    });
  }

  #lookAll(): void {
    for (const record of this.#open()) record.look();
  }

  #onReady(): void {
    if (this.#isReported) {
      for (const record of this.#open()) record.standBack();
      clearTimeout(this.#steady);
      const report = guarded(this.#faults.onFault, () => this.#reportBack());
      this.#steady = setTimeout(report, STEADY_MS);
    }
    this.#lookAll();
    void this.#checkRights().catch(this.#faults.onFault);
  }

  /** Without this, a forbidden command shows only when it is needed. */
  async #checkRights(): Promise<void> {
    const missing = await missingRights(this.#commands, rightsKey(this.#config.prefix));
    const forbidden = missing.join(" ");
    if (this.#isClosed || forbidden === this.#forbidden) return;
    this.#forbidden = forbidden;
    this.#listener?.onRights(forbidden === "");
    if (forbidden === "") this.#log.info({}, "redis allows all commands");
    else this.#log.error({ forbidden: missing }, "redis forbids its user commands that sluice needs");
  }

  #onAway(): void {
    clearTimeout(this.#steady);
    this.#reportAway(this.#commands.lastFault || "the connection was lost");
    this.#lookAll();
  }

  /** Reports once per outage. */
  #reportAway(fault: string): void {
    if (this.#isClosed || this.#isReported) return;
    this.#isReported = true;
    this.#tellHealth();
    this.#log.error({ fault }, "redis is away");
  }

  #reportBack(): void {
    this.#isReported = false;
    this.#log.info({ leaseMs: this.#config.lease }, "redis is back");
    this.#tellHealth();
  }

  #onDegraded(
    record: RedisRecord,
    facts: { readonly route: string; readonly record: string; readonly isDegraded: boolean },
  ): void {
    if (facts.isDegraded) this.#degraded.add(record);
    else this.#degraded.delete(record);
    this.#tellHealth();
    const fault = this.#commands.lastFault;
    if (facts.isDegraded) this.#log.warn({ ...facts, fault }, "shared stream continues without redis");
    else this.#log.info(facts, "shared stream uses redis again");
  }

  #tellHealth(): void {
    const isWhole = !this.#isReported && this.#degraded.size === 0;
    if (isWhole === this.#isWhole) return;
    this.#isWhole = isWhole;
    this.#listener?.onHealth(isWhole);
  }

  #onClose(record: RedisRecord, { name }: RecordKeys, closed: Promise<void>): void {
    const group = this.#records.get(name);
    group?.delete(record);
    if (group?.size === 0) this.#records.delete(name);
    this.#degraded.delete(record);
    this.#tellHealth();
    const done = closed.catch(this.#faults.onFault).finally(() => this.#closing.delete(done));
    this.#closing.add(done);
  }
}

/** Returns the connection to one server, to the master of sentinels, or to a cluster. */
function connect(
  config: RedisConfig,
  name: string,
  faults: RedisFaults,
  watch: SentinelWatch | undefined,
): RedisCommands {
  const { cluster, timeout } = config;
  if (cluster !== undefined) return new RedisCluster(config, cluster.nodes, name, faults);
  const target = { ...targetOf(config), ...(watch !== undefined && { watch }) };
  return new RedisConnection({ target, name, timeoutMs: timeout }, faults);
}
