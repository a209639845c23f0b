/** Lets any number of callers wait for the next time that something happens. */
export class Signal {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `fire`. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  fire(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
