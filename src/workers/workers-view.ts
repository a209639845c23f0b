import { Registry } from "prom-client";
import type { AdminView, View } from "../admin/admin-view.ts";
import { about } from "../admin/overview.ts";
import type { StreamPage, StreamQuery, ViewQuery } from "../admin/streams.ts";
import { guarded } from "../base/guard.ts";
import type { PrimaryLinkMetrics } from "../observe/link-metrics.ts";
import { processMetrics } from "../observe/process-metrics.ts";
import { SummedMetrics } from "../observe/summed-metrics.ts";
import { WorkerMetrics } from "../observe/worker-metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import { addedIncidents, Incidents } from "../runtime/incidents.ts";
import { type Obstacle, Readiness } from "../runtime/readiness.ts";
import { NO_RELOADS, withReload } from "../runtime/reloads.ts";
import type { Member } from "./member.ts";
import { mergedPages, mergedViews } from "./merged-views.ts";

/** The primary's id among the processes whose metrics are summed; workers count from 1. */
const PRIMARY = 0;

const TICK_MS = 1_000;

/** A worker that does not answer in this time is shown with its last values, or left out. */
const ANSWER_MS = 2_000;

/** How many totals are kept, one per second, as in a single process. */
const MAX_SAMPLES = 300;

/** How far pages of `/api/streams` may reach: each worker must send all streams before the page. */
const MAX_DEPTH = 10_000;

/** The obstacles to readiness that workers report; the primary knows all others itself. */
const OF_WORKERS: readonly Obstacle[] = [
  "out_of_files",
  "out_of_memory",
  "store_degraded",
  "store_forbidden",
];

/** Shows the admin listener a gateway of several processes as one. */
export class WorkersAdminView implements AdminView {
  readonly readiness: Readiness;
  /** The incidents of this process. */
  readonly incidents = new Incidents();
  readonly #count: number;
  readonly #members: () => readonly Member[];
  readonly #metrics: WorkerMetrics;
  readonly #summed: SummedMetrics;
  readonly #own: PrimaryLinkMetrics;
  readonly #onFault: (error: unknown) => void;
  readonly #startedAt = Date.now();
  readonly #samples: Sample[] = [];
  readonly #watchers = new Set<() => void>();
  #reloads = NO_RELOADS;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;

  /**
   * `members` returns the serving workers; `own` are this process's metrics, added to theirs; `count` is the number
   * of workers that should serve; `needsStore` is `redis.required`.
   */
  constructor(
    members: () => readonly Member[],
    own: PrimaryLinkMetrics,
    onFault: (error: unknown) => void,
    { count, needsStore }: { readonly count: number; readonly needsStore: boolean },
  ) {
    this.#count = count;
    this.readiness = new Readiness(needsStore);
    this.#members = members;
    this.#own = own;
    this.#onFault = onFault;
    this.#summed = new SummedMetrics(onFault);
    this.#metrics = new WorkerMetrics({
      alive: () => members().length,
      isReady: () => this.readiness.isReady,
    });
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look().catch(this.#onFault), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  watch(onLook: () => void): () => void {
    this.#watchers.add(onLook);
    return () => this.#watchers.delete(onLook);
  }

  restarted(): void {
    this.incidents.note("worker_died");
    this.#metrics.restarted();
  }

  reloaded(result: "success" | "failure", problems?: readonly string[]): void {
    this.#reloads = withReload(this.#reloads, result, problems);
    this.#metrics.reloaded(result);
  }

  /** Forgets a worker that has ended. */
  left({ id }: Member): void {
    this.#summed.forget(id);
  }

  async metrics(): Promise<string> {
    await this.#ofEach(async (member) => {
      const values = await member.link.call("metrics", undefined, ANSWER_MS);
      if (member.isServing) this.#summed.note(member.id, values);
    });
    const own = Registry.merge([processMetrics(), this.#own.registry]);
    this.#summed.note(PRIMARY, await own.getMetricsAsJSON());
    return await this.#summed.text(this.#metrics.registry);
  }

  async view(query: ViewQuery): Promise<View> {
    const deep = deepQuery(query);
    const views = await this.#ofEach(({ link }) => link.call("view", deep, ANSWER_MS));
    return {
      ...mergedViews(views, query),
      about: about(),
      startedAt: this.#startedAt,
      workers: { serving: this.#members().length, wanted: this.#count },
      isReady: this.readiness.isReady,
      obstacles: this.readiness.standing,
      incidents: addedIncidents([this.incidents.counts, ...views.map(({ incidents }) => incidents)]),
      sample: this.#samples.at(-1),
      reloads: this.#reloads,
    };
  }

  async listStreams(query: StreamQuery): Promise<StreamPage> {
    const deep = deepQuery(query);
    return mergedPages(await this.#ofEach(({ link }) => link.call("listStreams", deep, ANSWER_MS)), query);
  }

  async endStreams(id: string): Promise<boolean> {
    const found = await this.#ofEach(({ link }) => link.call("endStreams", id, ANSWER_MS));
    return found.includes(true);
  }

  /** Runs once a second, unless the previous run still waits for an answer. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const statuses = await this.#ofEach(({ link }) => link.call("status", undefined, ANSWER_MS)).finally(
      () => {
        this.#isLooking = false;
      },
    );
    for (const obstacle of OF_WORKERS) {
      this.readiness.set(
        obstacle,
        statuses.some(({ obstacles }) => obstacles.includes(obstacle)),
      );
    }
    this.#samples.push(sumOf(statuses.flatMap(({ sample }) => sample ?? [])));
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    for (const onLook of this.#watchers) guarded(this.#onFault, onLook)();
  }

  /** Returns the answers that came in time. */
  async #ofEach<T>(ask: (member: Member) => Promise<T>): Promise<T[]> {
    const results = await Promise.allSettled(this.#members().map(ask));
    return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }
}

function sumOf(samples: readonly Sample[]): Sample {
  const sum = { at: Date.now(), streams: 0, eventsPerSecond: 0, requestsPerSecond: 0 };
  for (const { streams, eventsPerSecond, requestsPerSecond } of samples) {
    sum.streams += streams;
    sum.eventsPerSecond += eventsPerSecond;
    sum.requestsPerSecond += requestsPerSecond;
  }
  return sum;
}

/** Asks each worker from its first stream on: only the merged list shows which streams are on the page. */
function deepQuery<Query extends StreamQuery>(query: Query): Query {
  return { ...query, offset: 0, limit: Math.min(query.offset, MAX_DEPTH) + query.limit };
}
