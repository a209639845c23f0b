/**
 * Stops a part of a probe on request, when the whole probe stops, or after a time.
 *
 * Replaces AbortSignal.any and AbortSignal.timeout, whose signals Node 20 may collect before they fire.
 */
export class Stop {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onParent = () => this.abort();

  /** Without `ms`, there is no time limit. */
  constructor(parent: AbortSignal, ms?: number) {
    this.#parent = parent;
    this.#timer = ms === undefined ? undefined : setTimeout(() => this.abort(), ms);
    if (parent.aborted) this.abort();
    else parent.addEventListener("abort", this.#onParent, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(): void {
    this.release();
    this.#controller.abort();
  }

  /** Releases the timer and the listener. */
  release(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#onParent);
  }

  /** Resolves when it is stopped. */
  async ended(): Promise<void> {
    if (!this.signal.aborted)
      await new Promise<void>((resolve) => {
        this.signal.addEventListener("abort", () => resolve(), { once: true });
      });
  }
}
