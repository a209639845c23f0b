/**
 * Calls back when `ms` went by without a `refresh`, and what had come by then has been read.
 *
 * A timer by itself is due the moment a process goes on that stood still, for a collection of garbage or as its
 * machine slept, and fires before anything is read that came meanwhile: every stream would end at once.
 */
export class DueTimer {
  readonly #timer: NodeJS.Timeout;
  #due: NodeJS.Immediate | undefined;

  constructor(ms: number, onDue: () => void) {
    this.#timer = setTimeout(() => {
      this.#due = setImmediate(onDue);
    }, ms);
  }

  /** The time begins anew. */
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
