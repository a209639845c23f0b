import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8";

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

/** The part of the limit that V8 reports that is there for what lives longer, where it was not set by a flag. */
const OLD_PART = 0.97;

/** What V8 ends the process at: the most that may have lived longer. The limit that it reports has the young in it. */
const OLD_LIMIT = flaggedLimit() ?? getHeapStatistics().heap_size_limit * OLD_PART;

function flaggedLimit(): number | undefined {
  const flags = [process.env["NODE_OPTIONS"], ...process.execArgv].join(" ");
  const megabytes = [...flags.matchAll(/--max[-_]old[-_]space[-_]size[= ](\d+)/g)].at(-1)?.[1];
  return megabytes === undefined || Number(megabytes) === 0 ? undefined : Number(megabytes) * 2 ** 20;
}

/** How much of the heap is used, from 0 to 1; what is dead and not collected yet counts. */
function heapUse(): number {
  let used = 0;
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (!name.startsWith("new")) used += size;
  }
  return used / OLD_LIMIT;
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
