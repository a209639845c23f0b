/** A reason why a gateway should get no new traffic although its process runs. */
export type Obstacle = "starting" | "draining" | "out_of_files" | "out_of_memory" | "store_degraded";

/** The readiness that `/readyz` reports: a gateway is ready while there is no obstacle. */
export class Readiness {
  readonly #obstacles = new Set<Obstacle>(["starting"]);

  get isReady(): boolean {
    return this.#obstacles.size === 0;
  }

  get obstacles(): readonly Obstacle[] {
    return [...this.#obstacles];
  }

  /** Sets or removes an obstacle. */
  set(obstacle: Obstacle, holds: boolean): void {
    if (holds) this.#obstacles.add(obstacle);
    else this.#obstacles.delete(obstacle);
  }
}
