interface VirtualTimer {
  readonly callback: () => void;
  readonly ms: number;
  dueMs: number;
  isSet: boolean;
}

/** Timers with a clock that the test moves: for millions of cases, and to check that no timer is left. */
export class VirtualTimers {
  #nowMs = 0;
  readonly #timers = new Set<VirtualTimer>();
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  /** The number of waiting timers. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Replaces `setTimeout` and `clearTimeout` until `uninstall`. */
  install(): void {
    const set = (callback: () => void, ms: number) => {
      const timer: VirtualTimer = { callback, ms, dueMs: this.#nowMs + ms, isSet: true };
      this.#timers.add(timer);
      return {
        timer,
        refresh: () => {
          if (timer.isSet) this.#timers.add(Object.assign(timer, { dueMs: this.#nowMs + ms }));
        },
      };
    };
    const clear = (handle: { timer: VirtualTimer } | undefined) => {
      if (handle === undefined) return;
      handle.timer.isSet = false;
      this.#timers.delete(handle.timer);
    };
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }

  uninstall(): void {
    Object.assign(globalThis, this.#real);
  }

  /** Moves the clock and calls the due timers in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (let next = this.#dueBy(end); next !== undefined; next = this.#dueBy(end)) {
      this.#nowMs = next.dueMs;
      this.#timers.delete(next);
      next.callback();
    }
    this.#nowMs = end;
  }

  #dueBy(end: number): VirtualTimer | undefined {
    let first: VirtualTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= end && (first === undefined || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}
