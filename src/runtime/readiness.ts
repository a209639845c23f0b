/** A reason why a gateway should get no new traffic although its process runs, or why it works less well. */
export type Obstacle =
  | "starting"
  | "draining"
  | "out_of_files"
  | "out_of_memory"
  | "store_degraded"
  | "store_forbidden";

const OF_STORE: ReadonlySet<Obstacle> = new Set(["store_degraded", "store_forbidden"]);

/**
 * The readiness that `/readyz` reports. A gateway without its Redis still delivers events, so it stays ready unless
 * `redis.required` is set: with one Redis for all, every replica would leave the load balancer at once.
 */
export class Readiness {
  readonly #obstacles = new Map<Obstacle, number>([["starting", Date.now()]]);
  readonly #needsStore: boolean;

  constructor(needsStore: boolean) {
    this.#needsStore = needsStore;
  }

  get isReady(): boolean {
    return this.obstacles.every((obstacle) => !this.#needsStore && OF_STORE.has(obstacle));
  }

  /** All obstacles, those too with which the gateway is ready. */
  get obstacles(): readonly Obstacle[] {
    return [...this.#obstacles.keys()];
  }

  /** All obstacles, with the time since which each of them holds, in ms since 1970. */
  get standing() {
    return [...this.#obstacles].map(([obstacle, since]) => ({ obstacle, since }));
  }

  /** Sets or removes an obstacle. */
  set(obstacle: Obstacle, holds: boolean): void {
    if (holds) this.#obstacles.set(obstacle, this.#obstacles.get(obstacle) ?? Date.now());
    else this.#obstacles.delete(obstacle);
  }
}
