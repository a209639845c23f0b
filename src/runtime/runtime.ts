import { JwksSets } from "../auth/jwks-sets.ts";
import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { ServerLimits } from "../config/server-limits-schema.ts";
import type { Config } from "../config/server-schema.ts";
import { BodyBudget } from "../exchange/body-budget.ts";
import type { Exchange, Observer } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { Route } from "../exchange/route.ts";
import type { Trust } from "../http/address.ts";
import { Capacity } from "../limits/capacity.ts";
import type { CounterStore } from "../limits/counter-store.ts";
import { FailedAuth } from "../limits/failed-auth.ts";
import { MemoryCounterStore } from "../limits/memory-counter-store.ts";
import type { Log } from "../observe/log.ts";
import { FileReserve } from "../process/file-reserve.ts";
import { type HeapListener, HeapWatch } from "../process/heap-watch.ts";
import { openFileLimit } from "../process/open-files.ts";
import { type RedisListener, RedisStore } from "../redis/store.ts";
import type { Router } from "../routing/router.ts";
import { HistoryBudget } from "../shared/history-budget.ts";
import { MemoryStore } from "../shared/memory-store.ts";
import type { Store } from "../shared/store.ts";
import { Traces } from "../tracing/traces.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { LoopGuard } from "../upstream/loop-guard.ts";
import { answersOf, type RuntimeRoute } from "./runtime-route.ts";
import { endSlowClients } from "./slow-clients.ts";
import { type Changes, changesBetween, createSnapshot, type Snapshot } from "./snapshot.ts";
import { Telemetry } from "./telemetry.ts";
import { UnknownProxies } from "./unknown-proxies.ts";

/** A configuration that is ready to replace the present one: exactly one of the two methods is called, once. */
export interface PreparedReload {
  readonly changes: Changes;
  /** The routes that it no longer has, in all their environments. */
  readonly removed: ReadonlySet<Route>;
  /** Makes it the configuration from the next request on. */
  commit(): void;
  /** Closes the resources that were made for it. */
  discard(): void;
}

/**
 * The state that all requests share: the compiled configuration, and everything that outlives a reload.
 *
 * Listeners refer to one runtime for their whole life. A reload replaces its snapshot at once, between two requests; a
 * stream under way keeps the route with which it began.
 */
export class Runtime implements Observer, HeapListener, RedisListener {
  readonly log: Log;
  /** The streams under way. */
  readonly relays = new Set<LiveStream>();
  /** The tunnels under way, such as WebSockets. */
  readonly tunnels = new Set<LiveStream>();
  /** Whether the gateway closes: no new connections, and open ones are closed after their responses. */
  isDraining = false;
  /** Traces requests; undefined without `tracing`. */
  tracing: Tracing | undefined;
  /** The connections and streams that all listeners and routes together may have open. */
  readonly capacity: Capacity;
  /** Counts requests and streams. */
  readonly telemetry: Telemetry;
  /** Recognizes requests that come back from a backend. */
  readonly loops: LoopGuard;
  /** Warns of a proxy in front that is not trusted. */
  readonly unknownProxies: UnknownProxies;
  readonly #jwksSets: JwksSets;
  /** Kept over all reloads: a reload must not let a signature be used twice. */
  readonly #counters: CounterStore;
  /** Holds the shared streams, over all reloads. */
  readonly #store: Store;
  readonly #historyBudget: HistoryBudget;
  readonly #bodies: BodyBudget;
  readonly #failures: FailedAuth;
  readonly #traces: Traces;
  readonly #files = new FileReserve((isShort) => this.#onFiles(isShort));
  readonly #heap = new HeapWatch(this);
  #snapshot: Snapshot;

  constructor(
    config: Config,
    log: Log,
    counters: CounterStore = new MemoryCounterStore(config.server.limits.signatures),
    loops = new LoopGuard(),
  ) {
    this.log = log;
    this.loops = loops;
    this.unknownProxies = new UnknownProxies(log);
    this.#traces = new Traces(log);
    const { redis } = config.server;
    const shared = redis === null ? undefined : new RedisStore(redis, log, this);
    this.#counters = shared?.counters(counters) ?? counters;
    this.#store = shared ?? new MemoryStore();
    const { limits } = config.server;
    this.#historyBudget = new HistoryBudget(limits.historyBytes);
    this.#bodies = new BodyBudget(bodiesBytes(limits));
    // No route has an empty name.
    this.#failures = new FailedAuth(limits.failedAuth, (rate) => this.#counters.windows("", rate));
    this.capacity = new Capacity(limits, counters, openFileLimit(), this.#files, this.#heap);
    this.telemetry = new Telemetry({
      log,
      streams: () => this.relays,
      routes: () => [...this.#snapshot.routes.values()].map(({ route }) => route),
      historyBytes: () => this.#historyBudget.bytes,
      redis: () => shared?.health,
      listen: () => this.config.server.listen,
      spans: () => this.#traces.tally,
      needsStore: redis?.required ?? false,
    });
    this.#jwksSets = new JwksSets(log);
    this.#snapshot = this.#compile(config);
  }

  onSettled(exchange: Exchange, reason: EndReason): void {
    exchange.trace?.settled(exchange, reason);
    this.telemetry.onSettled(exchange, reason);
    // There was no file descriptor for its backend connection: an idle stream gives one up for the next request.
    const { error } = exchange.account;
    if (error instanceof ProxyError && error.code === "connections_exhausted") this.capacity.giveUpIdle(1);
  }

  onFault(err: unknown, facts: Readonly<Record<string, unknown>> = {}): void {
    this.telemetry.onFault();
    this.log.error({ ...facts, code: "internal_error", err }, "internal error");
  }

  get config(): Config {
    return this.#snapshot.config;
  }

  get router(): Router<RuntimeRoute> {
    return this.#snapshot.router;
  }

  get trust(): Trust {
    return this.#snapshot.trust;
  }

  get maxHeaderFields(): number {
    return this.config.server.limits.headers;
  }

  /** Loads what the first request needs, such as keys of issuers; rejects with a ConfigError that names the place. */
  async start(): Promise<void> {
    this.#files.start();
    this.#heap.start();
    this.tracing = await this.#traces.load(this.config.server.tracing);
    await this.#jwksSets.start(this.config.routes);
  }

  /**
   * Compiles a configuration and loads what it needs in addition; rejects with a ConfigError, and nothing has changed.
   * The caller waits for its end before the next call.
   */
  async prepare(config: Config): Promise<PreparedReload> {
    const before = this.#snapshot;
    const after = this.#compile(config, before);
    const discard = () => {
      for (const resource of after.resources) if (!before.resources.has(resource)) resource.close();
      this.#jwksSets.keep(before.config.routes);
    };
    let tracing: Tracing | undefined;
    try {
      tracing = await this.#traces.load(config.server.tracing, this.tracing);
      await this.#jwksSets.start(config.routes);
    } catch (error) {
      discard();
      throw error;
    }
    const changes = changesBetween(before, after);
    const removed = new Set(
      changes.removed.flatMap((name) => environmentsOf(before.routes.get(name)?.route)),
    );
    const commit = () => {
      this.#replace(before, after);
      this.tracing = tracing;
    };
    return { changes, removed, commit, discard };
  }

  /** Whether answers come from this process that other instances can go on reading. */
  get isGenerating(): boolean {
    const routes = [...this.#snapshot.routes.values()];
    return routes.some(({ route }) => answersOf(route).some(({ isGenerating }) => isGenerating));
  }

  /**
   * Closes the connections to backends and everything that was started; resolves when its leases in Redis are
   * released and its last spans are sent.
   */
  async close(): Promise<void> {
    this.#files.stop();
    this.#heap.stop();
    this.#jwksSets.close();
    this.#failures.close();
    for (const resource of this.#snapshot.resources) resource.close();
    await Promise.all([this.#store.close(), this.#traces.close()]);
  }

  /** Reports that the system refused a listener a new connection; open connections are not affected. */
  acceptFailed(err: Error): void {
    this.#files.check();
    this.log.warn({ err }, "connection not accepted");
  }

  onHeap(isHigh: boolean): void {
    this.telemetry.outOfMemory(isHigh);
    if (isHigh) this.log.error("heap nearly full: further streams are refused");
    else this.log.warn("heap has room again");
  }

  onHeapFull(): void {
    const ended = endSlowClients([...this.relays, ...this.tunnels]);
    if (ended > 0) this.log.error({ ended }, "heap full: slow clients were ended");
  }

  #onFiles(isShort: boolean): void {
    const openFiles = openFileLimit();
    this.telemetry.outOfFiles(isShort);
    // Twice the reserve: with less, the next clients would be refused again.
    if (isShort) {
      this.capacity.giveUpIdle(2 * this.#files.size);
      setImmediate(() => this.#files.check());
    }
    if (isShort) this.log.error({ openFiles }, "out of open files: new connections are refused");
    else this.log.warn({ openFiles }, "open files are free again");
  }

  /** Notes whether all delivered events are in Redis; if not, other instances may lack some. */
  onHealth(isWhole: boolean): void {
    this.telemetry.readiness.set("store_degraded", !isWhole);
  }

  /** Notes whether the user of Redis may run all commands. */
  onRights(isComplete: boolean): void {
    this.telemetry.readiness.set("store_forbidden", !isComplete);
  }

  #compile(config: Config, previous?: Snapshot): Snapshot {
    const credentials = {
      apps: config.apps,
      signatures: this.#counters.signatures,
      tickets: (route: string) => this.#counters.tickets(route),
      maxBodyBytes: config.server.limits.bodyBytes,
      maxParameters: config.server.limits.signedParameters,
      bodies: this.#bodies,
      failures: this.#failures,
      jwks: (place: string) => this.#jwksSets.at(place),
    };
    const context = {
      credentials,
      counters: this.#counters,
      store: this.#store,
      budget: this.#historyBudget,
      answers: this.telemetry.metrics.answers,
      capacity: this.capacity,
      log: this.log,
      loops: this.loops,
      llm: this.telemetry.metrics.llm,
      limits: this.telemetry.metrics.limits,
      onFault: this.onFault.bind(this),
    };
    return createSnapshot(config, context, previous);
  }

  #replace(before: Snapshot, after: Snapshot): void {
    const { limits } = after.config.server;
    this.#snapshot = after;
    this.capacity.limits = limits;
    this.#historyBudget.limitBytes = limits.historyBytes;
    this.#bodies.limitBytes = bodiesBytes(limits);
    this.#failures.limit = limits.failedAuth;
    this.#counters.limitSignatures(limits.signatures);
    this.#jwksSets.keep(after.config.routes);
    for (const resource of before.resources) if (!after.resources.has(resource)) resource.retire();
  }
}

/** Returns the bound of all bodies: at least `bodyBytes`, so that one body of the longest allowed length has room. */
function bodiesBytes({ bodiesBytes: all, bodyBytes }: ServerLimits): number {
  return Math.max(all, bodyBytes);
}

function environmentsOf(route: RuntimeRoute | undefined): Route[] {
  return route === undefined ? [] : [route, ...route.otherEnvironments.values()];
}
