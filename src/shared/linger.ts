import { guarded } from "../base/guard.ts";
import type { Release } from "../base/release.ts";
import type { BackendFiles } from "../limits/backend-files.ts";

export interface LingerOptions {
  readonly files: BackendFiles;
  /** Whether the channel has a backend connection or dials. */
  holdsFile(): boolean;
  close(): void;
  onFault(error: unknown): void;
}

/** Keeps a channel without clients open for a time, unless its open file is needed elsewhere. */
export class Linger {
  readonly #options: LingerOptions;
  #timer: NodeJS.Timeout | undefined;
  /** When the channel closes, by `performance.now()`. */
  #endsAt = 0;
  #withdraw: Release | undefined;

  constructor(options: LingerOptions) {
    this.#options = options;
  }

  /** Closes the channel in `ms`, unless it would close earlier anyway. */
  start(ms: number): void {
    const endsAt = performance.now() + ms;
    if (this.#timer !== undefined && this.#endsAt <= endsAt) return;
    const { files, close, onFault } = this.#options;
    clearTimeout(this.#timer);
    this.#endsAt = endsAt;
    this.#timer = setTimeout(guarded(onFault, close), ms);
    this.#withdraw ??= files.offer(() => this.#giveUp());
  }

  /** To be called when a client joins or the channel closes. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#withdraw?.();
    this.#withdraw = undefined;
  }

  #giveUp(): boolean {
    const { holdsFile, close, onFault } = this.#options;
    const didHold = holdsFile();
    // A channel without a connection frees no file: it keeps its history for reconnecting clients.
    if (didHold) guarded(onFault, close)();
    return didHold;
  }
}
