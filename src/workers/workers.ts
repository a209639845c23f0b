import cluster from "node:cluster";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { type AdminServer, createAdmin } from "../admin/admin-listener.ts";
import type { Release } from "../base/release.ts";
import type { Config } from "../config/server-schema.ts";
import { GatewayClosedError, type ListeningGateway } from "../gateway/gateway.ts";
import { PrimaryLinkMetrics } from "../observe/link-metrics.ts";
import type { Log } from "../observe/log.ts";
import { youngGenerationOptions } from "../process/internals/young-generation.ts";
import { problemTexts } from "../runtime/reloads.ts";
import { MAX_FLUSH_MS } from "../tracing/traces.ts";
import { newLoopId } from "../upstream/loop-guard.ts";
import { CounterServer } from "./counter-server.ts";
import { LinkFaults } from "./link-faults.ts";
import { type Death, Member, WorkerStartError } from "./member.ts";
import { LinkError } from "./process-link.ts";
import { RestartDelay } from "./restart-delay.ts";
import { tryAddresses } from "./try-addresses.ts";
import { refuseUnshared, workerConfig } from "./worker-config.ts";
import { WorkersAdminView } from "./workers-view.ts";

/** How often in a row a worker may end before it serves, while no other worker serves. */
const MAX_FAILED_STARTS = 5;

/** Time for a worker to exit, beyond the drain time. */
const EXIT_GRACE_MS = 500;

/** Time for a worker that is ended at once: the gateway's own grace for open requests. */
const END_MS = 5_000;

/** Returns the time for a worker to exit; with tracing, it sends its last spans in it. */
const exitMs = ({ tracing }: Config["server"]) => EXIT_GRACE_MS + (tracing === null ? 0 : MAX_FLUSH_MS);

/** Returns how many processes a configuration asks for. */
export function workerCount({ workers }: Config["server"]): number {
  return workers === "auto" ? availableParallelism() : workers;
}

export interface WorkersSetup {
  readonly log: Log;
  readonly count: number;
  /** No worker serves, and starting one has failed too often. */
  onHopeless(error: unknown): void;
}

/**
 * A gateway in several processes that share its listeners. This process accepts connections and distributes them in
 * turn, counts for the limits, merges admin views and metrics, and replaces a worker that ends.
 */
export class Workers implements ListeningGateway {
  readonly #setup: WorkersSetup;
  readonly #log: Log;
  readonly #counters: CounterServer;
  readonly #adminView: WorkersAdminView;
  readonly #faults: LinkFaults;
  readonly #admin: AdminServer | undefined;
  readonly #delay = new RestartDelay();
  readonly #members = new Set<Member>();
  /** Timers of delayed restarts. */
  readonly #waits = new Set<NodeJS.Timeout>();
  /** Replacements that are starting. */
  readonly #starts = new Set<Promise<unknown>>();
  /** Shared by all workers: a request of one worker may come back to another. */
  readonly #loopId = newLoopId();
  /** The configuration at the start, for parts that a reload does not change. */
  readonly #first: Config;
  #config: Config;
  #adminAddress: string | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #failedStarts = 0;

  constructor(config: Config, setup: WorkersSetup) {
    this.#setup = setup;
    this.#log = setup.log;
    this.#first = config;
    this.#config = config;
    this.#counters = new CounterServer(config);
    const metrics = new PrimaryLinkMetrics();
    const onFault = (err: unknown) => {
      metrics.internalError();
      this.#adminView.incidents.note("internal_error");
      setup.log.error({ code: "internal_error", err }, "internal error");
    };
    this.#faults = new LinkFaults(metrics, () => setup.log, onFault);
    this.#adminView = new WorkersAdminView(() => this.#serving, metrics, onFault, {
      count: setup.count,
      needsStore: config.server.redis?.required ?? false,
    });
    this.#admin = createAdmin(config.server, this.#adminView, setup.log);
    // Round robin: the kernel would give most of many simultaneous connections to one worker.
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL(`./worker-main${import.meta.url.slice(-3)}`, import.meta.url)),
      args: [],
      execArgv: [...process.execArgv, ...youngGenerationOptions()],
      // A configuration contains undefined and Infinity, and signatures are bytes.
      serialization: "advanced",
    });
    // A second signal ends this process and its workers at once; the workers of a killed primary drain instead.
    process.on("exit", this.#killAll);
  }

  get adminAddress(): string | undefined {
    return this.#adminAddress;
  }

  async listen(): Promise<readonly string[]> {
    try {
      this.#adminAddress = await this.#admin?.listen();
      await tryAddresses(this.#config.server.listen);
      const addresses = await this.#startFirst();
      const numbers = Array.from({ length: this.#setup.count - 1 }, (_, at) => at + 2);
      await Promise.all(numbers.map((number) => this.#start(number)));
      this.#adminView.readiness.set("starting", false);
      return addresses;
    } catch (error) {
      await this.close({ now: true });
      throw error;
    }
  }

  /** Reloads all workers or none. */
  reload(config: Config): Promise<void> {
    const done = this.#reloading.then(() => this.#reload(config));
    this.#reloading = done.then(
      () => this.#adminView.reloaded("success"),
      (error: unknown) => this.#adminView.reloaded("failure", problemTexts(error)),
    );
    return done;
  }

  rejected(problems?: readonly string[]): void {
    this.#adminView.reloaded("failure", problems);
  }

  close({ now = false }: { readonly now?: boolean } = {}): Promise<void> {
    const isLater = this.#closing !== undefined;
    this.#closing ??= this.#close(now);
    if (now && isLater) void this.#closeAll(true);
    return this.#closing;
  }

  get #serving(): Member[] {
    return [...this.#members].filter(({ isServing }) => isServing);
  }

  readonly #killAll = (): void => {
    if (this.#closing === undefined) return;
    for (const member of this.#members) member.kill();
  };

  /** Forks a worker and starts it. */
  async #start(number: number): Promise<readonly string[]> {
    if (this.#closing !== undefined) throw new GatewayClosedError();
    const { answers, release } = this.#counters.serve();
    const faults = this.#faults;
    const member = new Member(number, answers, { faults, onCrashed: (one) => this.#onCrashed(one) });
    this.#members.add(member);
    void member.ended.then((death) => this.#onDeath(member, death, release)).catch(faults.onFault);
    return await member.start(workerConfig(this.#config, this.#first), this.#loopId);
  }

  /** A crashed worker drains only when its replacement serves: a single worker would close the port meanwhile. */
  #onCrashed(member: Member): void {
    if (member.isReplaced || this.#closing !== undefined) return;
    member.isReplaced = true;
    this.#log.error({ worker: member.number, pid: member.pid }, "worker crashed");
    const { delay = 0, timeout } = this.#config.server.drain;
    const close = () => member.close(false, delay + timeout + exitMs(this.#config.server));
    void this.#replace(member.number, 0).then(close).catch(this.#faults.onFault);
  }

  #onDeath(member: Member, death: Death, release: Release): void {
    this.#members.delete(member);
    release();
    this.#adminView.left(member);
    // The end of a worker that never served is reported where it was started.
    if (!member.hasServed || member.isReplaced || this.#closing !== undefined) return;
    const { number, pid } = member;
    this.#log.error({ worker: number, pid, ...death }, "worker died");
    if (this.#serving.length === 0) this.#adminView.readiness.set("starting", true);
    void this.#replace(number, this.#delay.next(death.livedMs)).catch(this.#faults.onFault);
  }

  /** A worker that ends without an error may have been unlucky; an error that it reports would recur. */
  async #startFirst(): Promise<readonly string[]> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#start(1);
      } catch (error) {
        if (this.#closing !== undefined) throw new GatewayClosedError();
        if (!(error instanceof WorkerStartError) || failures >= MAX_FAILED_STARTS) throw error;
        this.#log.error({ err: error }, "worker did not start");
        await this.#wait(this.#delay.next(0));
      }
    }
  }

  async #replace(number: number, waitMs: number): Promise<void> {
    await this.#wait(waitMs);
    await this.#reloading;
    const start = this.#start(number);
    this.#starts.add(start);
    try {
      await start;
      this.#failedStarts = 0;
      this.#adminView.readiness.set("starting", false);
      this.#adminView.restarted();
      this.#log.info({ worker: number }, "worker restarted");
    } catch (error) {
      if (this.#closing === undefined) this.#onFailedStart(number, error);
    } finally {
      this.#starts.delete(start);
    }
  }

  #onFailedStart(number: number, error: unknown): void {
    this.#log.error({ worker: number, err: error }, "worker did not start");
    this.#failedStarts++;
    const isHopeless = this.#failedStarts >= MAX_FAILED_STARTS && this.#serving.length === 0;
    if (isHopeless) this.#setup.onHopeless(error);
    else void this.#replace(number, this.#delay.next(0)).catch(this.#faults.onFault);
  }

  async #reload(config: Config): Promise<void> {
    refuseUnshared(config, this.#first);
    // A worker that starts now would miss the reload.
    await Promise.allSettled(this.#starts);
    const members = this.#serving;
    if (members.length === 0) throw new LinkError("no worker serves", true);
    await tryAddresses(config.server.listen, this.#config.server.listen);
    const target = workerConfig(config, this.#first);
    try {
      const results = await Promise.allSettled(members.map((member) => prepareIn(member, target)));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    } catch (error) {
      await Promise.allSettled(members.map(({ link }) => link.call("discard", undefined)));
      throw error;
    }
    this.#config = config;
    // A worker that cannot commit is killed and replaced by one with the new configuration.
    const commit = (member: Member) => member.link.call("commit", undefined).catch(() => member.kill());
    await Promise.all(members.map(commit));
    this.#counters.keep(config);
  }

  async #close(now: boolean): Promise<void> {
    this.#adminView.readiness.set("draining", true);
    for (const timer of this.#waits) clearTimeout(timer);
    await this.#closeAll(now);
    await this.#admin?.close();
    process.removeListener("exit", this.#killAll);
  }

  async #closeAll(now: boolean): Promise<void> {
    const { delay = 0, timeout } = this.#config.server.drain;
    const limitMs = (now ? END_MS : delay + timeout) + exitMs(this.#config.server);
    await Promise.all([...this.#members].map((member) => member.close(now, limitMs)));
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waits.delete(timer);
        resolve();
      }, ms);
      this.#waits.add(timer);
    });
  }
}

/** The end of a worker does not fail the reload: its replacement starts with the new configuration. */
async function prepareIn(member: Member, config: Config): Promise<void> {
  try {
    await member.prepare(config);
  } catch (error) {
    if (!(error instanceof LinkError) || !error.isGone) throw error;
  }
}
