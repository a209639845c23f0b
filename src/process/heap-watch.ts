import { heapUse } from "./internals/heap-use.ts";

/** From here on nothing more is taken on that stays. */
const HIGH = 0.85;
/** Below this all is well again; in between it stays as it is. */
const LOW = 0.8;
/** From here on what can be given up is; at 1 V8 ends the process. */
const FULL = 0.95;

const LOOK_MS = 100;

/** Whoever acts on how full the heap is. */
export interface HeapListener {
  onHeap(isHigh: boolean): void;
  /** Called at each look at which it is as good as full. */
  onHeapFull(): void;
}

/** Watches the heap: V8 ends a process whose heap is full, with everything that it does. */
export class HeapWatch {
  readonly #listener: HeapListener;
  readonly #use: () => number;
  #isHigh = false;
  #wasHigh = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(listener: HeapListener, use = heapUse) {
    this.#listener = listener;
    this.#use = use;
  }

  get isHigh(): boolean {
    return this.#isHigh;
  }

  /** Looks ten times a second, until `stop`. */
  start(): void {
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  look(): void {
    const use = this.#use();
    // Twice in a row: what is dead may be most of it, and is collected when it is needed.
    const isHigh = use >= HIGH ? this.#wasHigh || use >= FULL : this.#isHigh && use >= LOW;
    this.#wasHigh = use >= HIGH;
    if (isHigh !== this.#isHigh) {
      this.#isHigh = isHigh;
      this.#listener.onHeap(isHigh);
    }
    if (use >= FULL) this.#listener.onHeapFull();
  }
}
