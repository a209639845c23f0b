/**
 * Ends a part of a probe: when it is told to, when the whole probe ends, or after a time.
 *
 * Not AbortSignal.any and AbortSignal.timeout: what they return may be collected before it fires, in Node 20.
 */
export class Stop {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onParent = () => this.abort();

  /** `ms` without a value: no time of its own. */
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

  /** What was to be ended is over. */
  release(): void {
    clearTimeout(this.#timer);
    this.#parent.removeEventListener("abort", this.#onParent);
  }

  /** Resolves when it ends. */
  async ended(): Promise<void> {
    if (!this.signal.aborted)
      await new Promise<void>((resolve) => {
        this.signal.addEventListener("abort", () => resolve(), { once: true });
      });
  }
}
