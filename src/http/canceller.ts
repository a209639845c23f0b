import type { Cancellation } from "./client-response.ts";

/** A cancellation for a request that no single client owns: its owner cancels it. */
export class Canceller implements Cancellation {
  readonly #callbacks = new Set<() => void>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  onClose(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  cancel(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const callback of [...this.#callbacks]) callback();
    this.#callbacks.clear();
  }
}
