import { guarded } from "../base/guard.ts";
import type { Release } from "../base/release.ts";
import type { BackendFiles } from "../limits/backend-files.ts";

export interface LingerOptions {
  readonly files: BackendFiles;
  /** Whether the channel has a backend connection, or dials one. */
  holdsFile(): boolean;
  close(): void;
  onFault(error: unknown): void;
}

/** The time in which a channel without clients waits for one, until it closes or its file is needed. */
export class Linger {
  readonly #options: LingerOptions;
  #timer: NodeJS.Timeout | undefined;
  /** When it closes, by `performance.now()`. */
  #endsAt = 0;
  #withdraw: Release | undefined;

  constructor(options: LingerOptions) {
    this.#options = options;
  }

  /** Closes the channel in `ms`, unless it would close sooner already. */
  start(ms: number): void {
    const endsAt = performance.now() + ms;
    if (this.#timer !== undefined && this.#endsAt <= endsAt) return;
    const { files, close, onFault } = this.#options;
    clearTimeout(this.#timer);
    this.#endsAt = endsAt;
    this.#timer = setTimeout(guarded(onFault, close), ms);
    this.#withdraw ??= files.offer(() => this.#giveUp());
  }

  /** A client is there, or the channel has closed. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#withdraw?.();
    this.#withdraw = undefined;
  }

  #giveUp(): boolean {
    const { holdsFile, close, onFault } = this.#options;
    const didHold = holdsFile();
    // Without a connection to end, its history stays for those who come back.
    if (didHold) guarded(onFault, close)();
    return didHold;
  }
}
