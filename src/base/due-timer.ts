/**
 * Calls back after `ms` without a `refresh`, when the bytes that had arrived by then have been read.
 *
 * After a process stood still, for a garbage collection or because its machine slept, a plain timer is due at once. It
 * fires before the process reads what arrived meanwhile, so every stream would end at the same time.
 */
export class DueTimer {
  readonly #timer: NodeJS.Timeout;
  #due: NodeJS.Immediate | undefined;

  constructor(ms: number, onDue: () => void) {
    this.#timer = setTimeout(() => {
      this.#due = setImmediate(onDue);
    }, ms);
  }

  /** Starts the time again. */
  refresh(): void {
    this.#notDue();
    this.#timer.refresh();
  }

  clear(): void {
    this.#notDue();
    clearTimeout(this.#timer);
  }

  #notDue(): void {
    if (this.#due === undefined) return;
    clearImmediate(this.#due);
    this.#due = undefined;
  }
}
