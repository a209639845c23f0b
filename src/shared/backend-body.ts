import { DueTimer } from "../base/due-timer.ts";
import { ProxyError } from "../base/errors.ts";
import { guarded } from "../base/guard.ts";
import { isExpected } from "../exchange/account.ts";
import type { BorrowedBytes, Sink, Source } from "../http/source.ts";

/** The calls of a backend's body to its reader. No call follows `onEnd` or `onError`. */
interface BodyReader {
  /** The bytes are borrowed. */
  onData(bytes: Buffer): void;
  /** The body is complete. */
  onEnd(): void;
  /** The body is incomplete: it broke off, was silent for too long, or handling it has thrown. */
  onError(error: unknown): void;
}

interface BackendBodyOptions {
  /** `stream.idleTimeout`, in ms. */
  readonly idleMs: number | undefined;
  readonly onFault: (error: unknown) => void;
}

/**
 * The body of a backend's response that belongs to no single client: it can be paused before it arrives, is cancelled
 * if it is silent for too long, and an error in its reader ends it alone.
 */
export class BackendBody implements Sink {
  readonly #options: BackendBodyOptions;
  readonly #reader: BodyReader;
  #source: Source | undefined;
  #idle: DueTimer | undefined;
  #isPaused = false;

  constructor(options: BackendBodyOptions, reader: BodyReader) {
    this.#options = options;
    this.#reader = reader;
  }

  get isOpen(): boolean {
    return this.#source !== undefined;
  }

  /** Takes the body of a response. */
  open(source: Source): void {
    this.#source = source;
    const { idleMs, onFault } = this.#options;
    if (idleMs !== undefined)
      this.#idle = new DueTimer(
        idleMs,
        guarded(onFault, () => this.#onIdle()),
      );
    try {
      source.start(this);
      if (this.#isPaused) source.pause();
    } catch (error) {
      this.fail(error);
    }
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#source?.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#idle?.refresh();
    this.#source?.resume();
  }

  /** Cancels the response; its reader is not called afterwards. */
  cancel(): void {
    this.#release()?.cancel();
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    if (this.#source === undefined) return;
    this.#idle?.refresh();
    try {
      this.#reader.onData(bytes.subarray(start, end));
    } catch (error) {
      this.fail(error);
    }
  }

  onEnd(): void {
    if (this.#release() === undefined) return;
    try {
      this.#reader.onEnd();
    } catch (error) {
      this.fail(error);
    }
  }

  onError(error: Error): void {
    if (this.#release() === undefined) return;
    this.#end(error);
  }

  /** Ends it with an error, and reports the error if no code expected it. */
  fail(error: unknown): void {
    const source = this.#release();
    this.#end(error);
    source?.cancel();
  }

  #end(error: unknown): void {
    const { onFault } = this.#options;
    if (!isExpected(error)) onFault(error);
    guarded(onFault, () => this.#reader.onError(error))();
  }

  #onIdle(): void {
    // While the backend is paused, its silence does not count.
    if (this.#isPaused) this.#idle?.refresh();
    else this.fail(new ProxyError("backend_timeout", "silent for stream.idleTimeout"));
  }

  /** Releases the response, and returns it for cancellation; undefined if it was released before. */
  #release(): Source | undefined {
    this.#idle?.clear();
    this.#idle = undefined;
    const source = this.#source;
    this.#source = undefined;
    return source;
  }
}
