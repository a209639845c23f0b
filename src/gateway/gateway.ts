import { setTimeout as sleep } from "node:timers/promises";
import { type AdminServer, createAdmin } from "../admin/admin-listener.ts";
import { LocalAdminView } from "../admin/admin-view.ts";
import type { Config, ServerConfig } from "../config/server-schema.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { CounterStore } from "../limits/counter-store.ts";
import { Listeners, type PreparedListeners } from "../listen/listeners.ts";
import { createLog, type Log } from "../observe/log.ts";
import { type PreparedReload, Runtime } from "../runtime/runtime.ts";
import type { Telemetry } from "../runtime/telemetry.ts";
import type { LoopGuard } from "../upstream/loop-guard.ts";
import { drainStreams } from "./drain.ts";

/** How long requests under way may take to end when a gateway is closed at once; below docker's 10 s to a kill. */
const CLOSE_GRACE_MS = 5_000;

/** The longest that closing a gateway without `now` takes, in ms: its drain, and the grace of what is left then. */
export function drainLimitMs({ server: { drain } }: Config): number {
  return (drain.delay ?? 0) + drain.timeout + CLOSE_GRACE_MS;
}

/** A running sluice, for embedding. */
export interface Gateway {
  /**
   * Listens on every configured address, or on none; resolves with the addresses, free ports filled in. Rejects
   * with a ConfigError when something the configuration names, such as an issuer's keys, is not there.
   */
  listen(): Promise<readonly string[]>;
  /** Where the admin listener is, once it listens; undefined without one. */
  readonly adminAddress: string | undefined;
  /**
   * Goes over to another configuration, as a whole or not at all: it rejects with what is wrong, and nothing has
   * changed. Routes that are as they were keep their streams, connections and counts; streams of changed ones
   * live on as they began; those of removed ones end as in a drain, and new requests find no route at once.
   */
  reload(config: Config): Promise<void>;
  /** Notes that there was a configuration which could not even be read. */
  rejected(): void;
  /**
   * Ends it as `drain` says: is not ready, stops accepting, ends streams between two events one after the other,
   * and resolves when no connection is left. `now`, also later than a first call, ends them all at once.
   */
  close(how?: { readonly now?: boolean }): Promise<void>;
}

/**
 * Makes a gateway of a validated configuration, in this process: `workers` are for `sluice serve`. It logs to
 * standard output unless `log` is given.
 */
export function createGateway(config: Config, options: { readonly log?: Log } = {}): Gateway {
  return new RunningGateway(config, options.log);
}

/** A configuration that a gateway is ready to go over to: exactly one of the two is called, once. */
export interface PreparedChange {
  commit(): void;
  /** Leaves everything as it is. */
  discard(): void;
}

/** A gateway that is closing takes no configuration and listens on nothing. */
export class GatewayClosedError extends Error {
  override readonly name = "GatewayClosedError";
  override readonly message = "the gateway is closing";
}

/** A gateway in this process. */
export class RunningGateway implements Gateway {
  /** What is known of it. */
  readonly telemetry: Telemetry;
  readonly #runtime: Runtime;
  readonly #listeners: Listeners;
  readonly #admin: AdminServer | undefined;
  /** Whether the log is ours, and its level the configuration's. */
  readonly #hasOwnLog: boolean;
  #adminAddress: string | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** Ends the wait before the gateway stops to accept, or lets what is left go at once. */
  #hurry = new AbortController();

  /** It counts what it limits by itself, unless `counters` do; `loops` are those of the processes it is one of. */
  constructor(config: Config, log: Log | undefined, counters?: CounterStore, loops?: LoopGuard) {
    this.#hasOwnLog = log === undefined;
    this.#runtime = new Runtime(config, log ?? createLog(config.server.log), counters, loops);
    const { workers } = config.server;
    if (workers !== 1)
      this.#runtime.log.warn({ workers }, "workers are for sluice serve: this is one process");
    this.#listeners = new Listeners(this.#runtime);
    this.telemetry = this.#runtime.telemetry;
    this.#admin = createAdmin(config.server, new LocalAdminView(this.telemetry), this.#runtime.log);
  }

  get adminAddress(): string | undefined {
    return this.#adminAddress;
  }

  async listen(): Promise<readonly string[]> {
    try {
      // First, so that probes see a gateway that starts.
      this.#adminAddress = await this.#admin?.listen();
      await this.#runtime.start();
      (await this.#prepareListeners(this.#runtime.config.server)).commit();
    } catch (error) {
      await this.#admin?.close();
      await this.#runtime.close();
      throw error;
    }
    this.#runtime.telemetry.readiness.set("starting", false);
    return this.#listeners.names;
  }

  reload(config: Config): Promise<void> {
    // One after the other, so that each knows what it is compared with.
    const done = this.#reloading.then(async () => (await this.prepare(config)).commit());
    this.#reloading = done.then(
      () => this.telemetry.reloaded("success"),
      () => this.telemetry.reloaded("failure"),
    );
    return done;
  }

  /** The first half of a reload, which may fail; whoever calls it waits for one to end before the next. */
  async prepare(config: Config): Promise<PreparedChange> {
    const prepared = await this.#runtime.prepare(config);
    let listeners: PreparedListeners;
    try {
      listeners = await this.#prepareListeners(config.server);
    } catch (error) {
      prepared.discard();
      throw error;
    }
    const discard = () => {
      listeners.discard();
      prepared.discard();
    };
    const commit = () => {
      // In one turn of the event loop: no request sees one without the other.
      listeners.commit();
      prepared.commit();
      this.#onReplaced(config, prepared);
    };
    return { discard, commit: () => (this.#runtime.isDraining ? discard() : commit()) };
  }

  rejected(): void {
    this.telemetry.reloaded("failure");
  }

  close({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    if (now) this.#hurry.abort();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #prepareListeners(server: ServerConfig): Promise<PreparedListeners> {
    const prepared = await this.#listeners.prepare(server);
    if (!this.#runtime.isDraining) return prepared;
    prepared.discard();
    throw new GatewayClosedError();
  }

  #onReplaced({ server }: Config, { changes, removed }: PreparedReload): void {
    const { log } = this.#runtime;
    if (this.#hasOwnLog) log.level = server.log.level;
    const areRemoved = ({ exchange }: LiveStream) =>
      exchange.route !== undefined && removed.has(exchange.route);
    if (removed.size > 0) drainStreams(() => this.#streams.filter(areRemoved), server.drain);
    log.info({ ...changes, listening: this.#listeners.names }, "reloaded");
  }

  get #streams(): LiveStream[] {
    return [...this.#runtime.relays, ...this.#runtime.tunnels];
  }

  async #close(): Promise<void> {
    const { log, telemetry, config } = this.#runtime;
    const { drain } = config.server;
    this.#runtime.isDraining = true;
    telemetry.readiness.set("draining", true);
    const { signal } = this.#hurry;
    if (drain.delay !== undefined) await sleep(drain.delay, undefined, { signal }).catch(() => {});
    const closed = this.#listeners.close();
    const left = () => this.#streams;
    const breakOff = () => {
      for (const stream of left()) stream.abort("drained");
      this.#listeners.closeAllConnections();
    };
    log.debug({ streams: left().length }, "draining");
    const cancel = signal.aborted ? () => {} : drainStreams(left, drain, breakOff);
    const onHurry = () => {
      cancel();
      for (const stream of left()) stream.endAtBoundary("drained");
      grace = setTimeout(breakOff, CLOSE_GRACE_MS);
    };
    let grace: NodeJS.Timeout | undefined;
    if (signal.aborted) onHurry();
    else signal.addEventListener("abort", onHurry, { once: true });
    await closed;
    cancel();
    clearTimeout(grace);
    await this.#admin?.close();
    await this.#runtime.close();
  }
}
