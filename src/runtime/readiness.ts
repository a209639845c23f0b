/** Why a gateway should get no new traffic, though its process lives. */
export type Obstacle = "starting" | "draining" | "out_of_files" | "out_of_memory" | "store_degraded";

/** What `/readyz` tells: a gateway is ready while nothing speaks against it. */
export class Readiness {
  readonly #obstacles = new Set<Obstacle>(["starting"]);

  get isReady(): boolean {
    return this.#obstacles.size === 0;
  }

  get obstacles(): readonly Obstacle[] {
    return [...this.#obstacles];
  }

  /** Notes that something speaks against it, or no longer does. */
  set(obstacle: Obstacle, holds: boolean): void {
    if (holds) this.#obstacles.add(obstacle);
    else this.#obstacles.delete(obstacle);
  }
}
