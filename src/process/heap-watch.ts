import { heapUse } from "./internals/heap-use.ts";

/** With this use of the heap, or more, no further streams are accepted. */
const HIGH = 0.85;
/** Below this use, streams are accepted again; between the two values nothing changes. */
const LOW = 0.8;
/** With this use, or more, slow clients are ended; at 1 V8 ends the process. */
const FULL = 0.95;

const LOOK_MS = 100;

/** Acts on the use of the heap. */
export interface HeapListener {
  onHeap(isHigh: boolean): void;
  /** Called at each look at which the heap is nearly full (95 %). */
  onHeapFull(): void;
}

/** Watches the heap: V8 ends a process whose heap is full, with all of its streams. */
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
    // High twice in a row: most of it may be dead objects, which V8 collects when it needs the room.
    const isHigh = use >= HIGH ? this.#wasHigh || use >= FULL : this.#isHigh && use >= LOW;
    this.#wasHigh = use >= HIGH;
    if (isHigh !== this.#isHigh) {
      this.#isHigh = isHigh;
      this.#listener.onHeap(isHigh);
    }
    if (use >= FULL) this.#listener.onHeapFull();
  }
}
