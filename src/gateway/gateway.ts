import { setTimeout as sleep } from "node:timers/promises";
import { type AdminServer, createAdmin } from "../admin/admin-listener.ts";
import { LocalAdminView } from "../admin/admin-view.ts";
import type { Release } from "../base/release.ts";
import type { Config, ServerConfig } from "../config/server-schema.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { CounterStore } from "../limits/counter-store.ts";
import { AttachedRequests, type Middleware } from "../listen/attached-requests.ts";
import { type AttachableServer, attachTo } from "../listen/attached-server.ts";
import { Listeners, type PreparedListeners } from "../listen/listeners.ts";
import { createLog, type Log } from "../observe/log.ts";
import { problemTexts } from "../runtime/reloads.ts";
import { type PreparedReload, Runtime } from "../runtime/runtime.ts";
import type { Telemetry } from "../runtime/telemetry.ts";
import type { LoopGuard } from "../upstream/loop-guard.ts";
import { drainStreams } from "./drain.ts";

/**
 * How long, in ms, requests under way may take to end when a gateway is closed at once; less than the 10 s until
 * Docker kills a container.
 */
const CLOSE_GRACE_MS = 5_000;

/** How often a drain looks whether the last answer has ended, in ms. */
const ANSWERS_POLL_MS = 50;

/** Returns the longest time, in ms, for closing a gateway without `now`: its drain, and the grace for the rest. */
export function drainLimitMs({ server: { drain } }: Config): number {
  return (drain.delay ?? 0) + drain.timeout + CLOSE_GRACE_MS;
}

/** A gateway that listens itself, in one process or in several. */
export interface ListeningGateway {
  /**
   * Listens on every configured address, or on none; resolves with the addresses, free ports filled in. Rejects
   * with a ConfigError if something that the configuration names, such as an issuer's keys, is missing.
   */
  listen(): Promise<readonly string[]>;
  /** The address of the admin listener, once it listens; undefined without an admin listener. */
  readonly adminAddress: string | undefined;
  /**
   * Replaces the configuration, as a whole or not at all: it rejects with the problem, and nothing has changed.
   * Unchanged routes keep their streams, connections and counts. Streams of changed routes go on as they began.
   * Streams of removed routes end as in a drain, while new requests for these routes get 404 at once.
   */
  reload(config: Config): Promise<void>;
  /** Notes that a new configuration could not be read; it counts as a failed reload. The dashboard shows the problems. */
  rejected(problems?: readonly string[]): void;
  /**
   * Closes the gateway as `drain` is configured: `/readyz` reports 503, no connection is accepted any more, streams end
   * between two events one after the other, those of clients that do not reconnect last until the timeout, and the
   * promise resolves when no connection is left. With `now`, also in a
   * later call, all streams end at once.
   */
  close(how?: { readonly now?: boolean }): Promise<void>;
}

/** A running sluice, for embedding. */
export interface Gateway extends ListeningGateway {
  /**
   * Answers the requests of an existing server that a route takes, upgrades included; all others reach the server's own
   * listeners. Opens no address of the configuration. Resolves with a function that gives the server back; rejects as
   * `listen` does.
   */
  attach(server: AttachableServer): Promise<Release>;
  /**
   * Resolves with a middleware for Express and other frameworks, which answers a request if a route takes it. Opens no
   * address of the configuration. Rejects as `listen` does.
   */
  middleware(): Promise<Middleware>;
}

/**
 * Creates a gateway from a validated configuration, in this process: `workers` are for `sluice serve`. It logs to
 * standard output unless `log` is given.
 */
export function createGateway(config: Config, options: { readonly log?: Log } = {}): Gateway {
  return new RunningGateway(config, options.log);
}

/** A configuration that is ready to replace the present one: exactly one of the two methods is called, once. */
export interface PreparedChange {
  commit(): void;
  /** Leaves everything as it is. */
  discard(): void;
}

/** The error of a call that a closing gateway refuses: it takes no configuration and opens no listener. */
export class GatewayClosedError extends Error {
  override readonly name = "GatewayClosedError";
  override readonly message = "the gateway is closing";
}

/** A gateway in this process. */
export class RunningGateway implements Gateway {
  /** Its metrics, activity and readiness. */
  readonly telemetry: Telemetry;
  readonly #runtime: Runtime;
  readonly #listeners: Listeners;
  readonly #attached: AttachedRequests;
  readonly #admin: AdminServer | undefined;
  /** Whether the gateway created its log, whose level then follows the configuration. */
  readonly #hasOwnLog: boolean;
  #adminAddress: string | undefined;
  #starting: Promise<void> | undefined;
  /** Whether the addresses of the configuration should be open. */
  #isListening = false;
  #reloading: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** Ends the delay before the listeners close, and ends the remaining streams at once. */
  #hurry = new AbortController();

  /** Without `counters` the limits are counted in this process. `loops` is shared by the workers of one gateway. */
  constructor(config: Config, log: Log | undefined, counters?: CounterStore, loops?: LoopGuard) {
    this.#hasOwnLog = log === undefined;
    this.#runtime = new Runtime(config, log ?? createLog(config.server.log), counters, loops);
    const { workers } = config.server;
    if (workers !== 1)
      this.#runtime.log.warn(
        { workers },
        "workers has no effect in an embedded gateway: only sluice serve starts several processes",
      );
    this.#listeners = new Listeners(this.#runtime);
    this.#attached = new AttachedRequests(this.#runtime);
    this.telemetry = this.#runtime.telemetry;
    this.#admin = createAdmin(config.server, new LocalAdminView(this.telemetry), this.#runtime.log);
  }

  get adminAddress(): string | undefined {
    return this.#adminAddress;
  }

  async listen(): Promise<readonly string[]> {
    await this.#start();
    this.#isListening = true;
    try {
      (await this.#prepareListeners(this.#runtime.config.server)).commit();
    } catch (error) {
      await this.#end();
      throw error;
    }
    this.telemetry.readiness.set("starting", false);
    return this.#listeners.names;
  }

  async attach(server: AttachableServer): Promise<Release> {
    await this.#startJoined();
    return attachTo(server, this.#attached);
  }

  async middleware(): Promise<Middleware> {
    await this.#startJoined();
    return this.#attached.middleware;
  }

  reload(config: Config): Promise<void> {
    // One after the other, so that each is compared with the one before.
    const done = this.#reloading.then(async () => (await this.prepare(config)).commit());
    this.#reloading = done.then(
      () => this.telemetry.reloaded("success"),
      (error: unknown) => this.telemetry.reloaded("failure", problemTexts(error)),
    );
    return done;
  }

  /** Runs the first half of a reload, which may fail. The caller waits for its end before the next call. */
  async prepare(config: Config): Promise<PreparedChange> {
    const prepared = await this.#runtime.prepare(config);
    let listeners: PreparedListeners | undefined;
    try {
      if (this.#isListening) listeners = await this.#prepareListeners(config.server);
    } catch (error) {
      prepared.discard();
      throw error;
    }
    const discard = () => {
      listeners?.discard();
      prepared.discard();
    };
    const commit = () => {
      // In one turn of the event loop: no request sees the new listeners with the old routes, or the reverse.
      listeners?.commit();
      prepared.commit();
      this.#onReplaced(config, prepared);
    };
    return { discard, commit: () => (this.#runtime.isDraining ? discard() : commit()) };
  }

  rejected(problems?: readonly string[]): void {
    this.telemetry.reloaded("failure", problems);
  }

  close({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    if (now) this.#hurry.abort();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #start(): Promise<void> {
    this.#starting ??= this.#startOnce();
    return this.#starting;
  }

  async #startOnce(): Promise<void> {
    try {
      // First, so that probes see the gateway while it starts.
      this.#adminAddress = await this.#admin?.listen();
      await this.#runtime.start();
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  /** Starts without listening, for requests of other servers. */
  async #startJoined(): Promise<void> {
    await this.#start();
    if (this.#runtime.isDraining) throw new GatewayClosedError();
    this.telemetry.readiness.set("starting", false);
  }

  async #end(): Promise<void> {
    this.#starting = undefined;
    await this.#admin?.close();
    await this.#runtime.close();
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

  /** Waits until no answer comes that clients could go on reading at another instance, or until the drain's timeout. */
  async #finishAnswers(until: number): Promise<void> {
    const { signal } = this.#hurry;
    while (this.#runtime.isGenerating && performance.now() < until && !signal.aborted)
      await sleep(ANSWERS_POLL_MS, undefined, { signal }).catch(() => {});
  }

  async #close(): Promise<void> {
    const { log, telemetry, config } = this.#runtime;
    const { drain } = config.server;
    this.#runtime.isDraining = true;
    telemetry.readiness.set("draining", true);
    const { signal } = this.#hurry;
    if (drain.delay !== undefined) await sleep(drain.delay, undefined, { signal }).catch(() => {});
    const startedAt = performance.now();
    const closed = Promise.all([this.#listeners.close(), this.#attached.close()]);
    const left = () => this.#streams;
    const breakOff = () => {
      for (const stream of left()) stream.abort("drained");
      this.#listeners.closeAllConnections();
      this.#attached.abortAll();
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
    await this.#finishAnswers(startedAt + drain.timeout);
    cancel();
    clearTimeout(grace);
    await this.#end();
  }
}
