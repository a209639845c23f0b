import cluster, { type Worker } from "node:cluster";
import type { Config } from "../config/server-schema.ts";
import { closeUndelivered } from "../process/internals/undelivered-connections.ts";
import type { CounterCalls, PrimaryCalls, WorkerCalls } from "./calls.ts";
import type { LinkFaults } from "./link-faults.ts";
import { ProcessLink } from "./process-link.ts";
import { PRIMARY_CHECKS, WORKER_CHECKS } from "./schemas.ts";

/** A process, its configuration read, its keys fetched; a worker that takes longer counts as dead. */
const START_MS = 60_000;

/** As long as a start: an issuer's keys may have to be fetched. */
const PREPARE_MS = 60_000;

/** A worker died before it served: by which exit code or signal. */
export class WorkerStartError extends Error {
  override readonly name = "WorkerStartError";
}

/** How a worker's process ended. */
export interface Death {
  readonly code: number | null;
  readonly signal: string | null;
  readonly livedMs: number;
}

/** One worker, as the primary sees it. */
export class Member {
  /** From 1; a worker that replaces another has its number. */
  readonly number: number;
  readonly link: ProcessLink<WorkerCalls>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<Death>;
  readonly #worker: Worker;
  readonly #up: Promise<void>;
  #isServing = false;
  #hasServed = false;
  /** Another takes its place: its end is no reason to start one. */
  isReplaced = false;

  /** Forks a process; `onCrashed` is called when it asks for another in its place. */
  constructor(
    number: number,
    answers: CounterCalls,
    { faults, onCrashed }: { readonly faults: LinkFaults; onCrashed(member: Member): void },
  ) {
    this.number = number;
    this.#worker = cluster.fork();
    closeUndelivered(this.#worker, faults.onFault);
    const startedAt = performance.now();
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", (code: number | null, signal: string | null) => {
        this.#isServing = false;
        resolve({ code, signal, livedMs: Math.round(performance.now() - startedAt) });
      });
    });
    // A channel that breaks is followed by the end of its process.
    this.#worker.on("error", () => {});
    let onUp = () => {};
    this.#up = new Promise((resolve) => {
      onUp = resolve;
    });
    const all: PrimaryCalls = { ...answers, up: () => onUp(), crashed: () => onCrashed(this) };
    const checks = { ours: PRIMARY_CHECKS, theirs: WORKER_CHECKS };
    this.link = new ProcessLink(this.#worker.process, { answers: { ...all }, ...checks, faults });
  }

  /** Its process; one number tells it from all others of this primary. */
  get id(): number {
    return this.#worker.id;
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  /** Whether it takes requests. */
  get isServing(): boolean {
    return this.#isServing;
  }

  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Has it listen; resolves with where, or rejects with what speaks against it, and the process is ended. */
  async start(config: Config, loopId: string): Promise<readonly string[]> {
    const died = this.ended.then(({ code, signal }) => {
      throw new WorkerStartError(`a worker ended at its start: ${signal ?? `exit code ${code}`}`);
    });
    const late = setTimeout(() => this.kill(), START_MS);
    const listening = this.#up.then(() => {
      const asked = this.link.call("start", { config, worker: this.number, loopId }, START_MS);
      // A death breaks the channel first, which says less than how it died.
      return asked.catch((error: unknown) => (this.link.isGone ? died : Promise.reject(error)));
    });
    try {
      const addresses = await Promise.race([listening, died]).finally(() => clearTimeout(late));
      this.#isServing = true;
      this.#hasServed = true;
      return addresses;
    } catch (error) {
      this.kill();
      await this.ended;
      throw error;
    }
  }

  prepare(config: Config): Promise<void> {
    return this.link.call("prepare", config, PREPARE_MS);
  }

  /** Ends it as a gateway is closed, and by force when it has not ended in time. */
  async close(now: boolean, timeoutMs: number): Promise<void> {
    // One that has not listened yet has nothing to end.
    if (this.#isServing) this.link.tell("close", { now });
    else this.kill();
    const limit = setTimeout(() => this.kill(), timeoutMs);
    await this.ended;
    clearTimeout(limit);
  }

  kill(): void {
    this.#worker.process.kill("SIGKILL");
  }
}
