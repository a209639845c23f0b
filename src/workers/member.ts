import cluster, { type Worker } from "node:cluster";
import type { Config } from "../config/server-schema.ts";
import { closeUndelivered } from "../process/internals/undelivered-connections.ts";
import type { CounterCalls, PrimaryCalls, WorkerCalls } from "./calls.ts";
import type { LinkFaults } from "./link-faults.ts";
import { ProcessLink } from "./process-link.ts";
import { PRIMARY_CHECKS, WORKER_CHECKS } from "./schemas.ts";

/** Time for a process to start, read its configuration and fetch its keys; then the worker is killed. */
const START_MS = 60_000;

/** As long as a start, because a reload may fetch the keys of an issuer, too. */
const PREPARE_MS = 60_000;

/** A worker ended before it served; the message gives the exit code or signal. */
export class WorkerStartError extends Error {
  override readonly name = "WorkerStartError";
}

/** How a worker's process ended. */
export interface Death {
  readonly code: number | null;
  readonly signal: string | null;
  readonly livedMs: number;
}

/** One worker, seen from the primary. */
export class Member {
  /** From 1; a replacement has the number of the worker that it replaces. */
  readonly number: number;
  readonly link: ProcessLink<WorkerCalls>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<Death>;
  readonly #worker: Worker;
  readonly #up: Promise<void>;
  #isServing = false;
  #hasServed = false;
  /** Whether another worker takes its place, so that its end must not start one. */
  isReplaced = false;

  /** Forks a process; `onCrashed` is called when the worker asks for a replacement. */
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
    // A broken channel is followed by the end of the process.
    this.#worker.on("error", () => {});
    let onUp = () => {};
    this.#up = new Promise((resolve) => {
      onUp = resolve;
    });
    const all: PrimaryCalls = { ...answers, up: () => onUp(), crashed: () => onCrashed(this) };
    const checks = { ours: PRIMARY_CHECKS, theirs: WORKER_CHECKS };
    this.link = new ProcessLink(this.#worker.process, { answers: { ...all }, ...checks, faults });
  }

  /** Identifies the process among all workers of this primary. */
  get id(): number {
    return this.#worker.id;
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  /** Whether the worker accepts requests. */
  get isServing(): boolean {
    return this.#isServing;
  }

  get hasServed(): boolean {
    return this.#hasServed;
  }

  /**
   * Starts the worker and resolves with its addresses. If the start fails, kills the process and rejects with the
   * reason.
   */
  async start(config: Config, loopId: string): Promise<readonly string[]> {
    const died = this.ended.then(({ code, signal }) => {
      throw new WorkerStartError(`a worker ended at its start: ${signal ?? `exit code ${code}`}`);
    });
    const late = setTimeout(() => this.kill(), START_MS);
    const listening = this.#up.then(() => {
      const asked = this.link.call("start", { config, worker: this.number, loopId }, START_MS);
      // When a process ends, the channel breaks first; the exit code says more.
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

  /** Closes the worker's gateway, and kills the process if it has not ended in time. */
  async close(now: boolean, timeoutMs: number): Promise<void> {
    // A worker that does not listen yet has no requests to finish.
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
