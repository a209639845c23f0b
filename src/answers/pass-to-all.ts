import type { BorrowedBytes, Sink, Source } from "../http/source.ts";
import type { AnswerClient } from "./answer-client.ts";

/**
 * Passes a response that is not kept to all clients that wait for it: each gets a source of its own with the same head
 * and body. The response is paused while one of them is paused, and cancelled when all have left.
 */
export function passToAll(source: Source, clients: readonly AnswerClient[]): void {
  const present = clients.filter(({ response }) => !response.isClosed);
  if (present.length === 0) source.cancel();
  const parts = present.length === 1 ? [source] : new Split(source, present.length).parts;
  present.forEach(({ exchange, onPassed }, at) => {
    const part = parts[at];
    if (part !== undefined) exchange.guarded(() => onPassed(part))();
  });
}

class Split implements Sink {
  readonly parts: readonly Part[];
  readonly #source: Source;
  readonly #paused = new Set<Part>();

  constructor(source: Source, count: number) {
    this.#source = source;
    this.parts = Array.from({ length: count }, () => new Part(source, this));
  }

  /** Starts the response when its last reader is there: bytes come only once. */
  started(): void {
    if (this.parts.every(({ isReady }) => isReady)) this.#source.start(this);
  }

  paused(part: Part, isPaused: boolean): void {
    if (isPaused) this.#paused.add(part);
    else if (!this.#paused.delete(part)) return;
    if (this.#paused.size === 0) this.#source.resume();
    else this.#source.pause();
  }

  cancelled(part: Part): void {
    if (this.parts.every(({ isCancelled }) => isCancelled)) return void this.#source.cancel();
    this.paused(part, false);
    this.started();
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    // A client frames a chunk in the bytes around it, so each but the last gets a copy.
    const last = this.parts.findLast(({ isCancelled }) => !isCancelled);
    for (const part of this.parts) {
      if (part === last) part.sink?.onData(bytes, start, end);
      else part.sink?.onData(Buffer.from(bytes.subarray(start, end)), 0, end - start);
    }
  }

  onEnd(rawTrailers: readonly string[]): void {
    for (const { sink } of this.parts) sink?.onEnd(rawTrailers);
  }

  onError(error: Error): void {
    for (const { sink } of this.parts) sink?.onError(error);
  }
}

class Part implements Source {
  readonly head: Source["head"];
  readonly #whole: Source;
  readonly #split: Split;
  #sink: Sink | undefined;
  isCancelled = false;

  constructor(whole: Source, split: Split) {
    this.head = whole.head;
    this.#whole = whole;
    this.#split = split;
  }

  /** Its reader; undefined before `start` and after `cancel`. */
  get sink(): Sink | undefined {
    return this.isCancelled ? undefined : this.#sink;
  }

  get isReady(): boolean {
    return this.isCancelled || this.#sink !== undefined;
  }

  start(sink: Sink): void {
    this.#sink = sink;
    this.#split.started();
  }

  pause(): void {
    this.#split.paused(this, true);
  }

  resume(): void {
    this.#split.paused(this, false);
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.#split.cancelled(this);
  }

  onClose(callback: () => void): void {
    this.#whole.onClose(callback);
  }
}
