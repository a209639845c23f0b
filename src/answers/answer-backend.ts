import { DueTimer } from "../base/due-timer.ts";
import { ProxyError, refusalOf } from "../base/errors.ts";
import { guarded } from "../base/guard.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { BorrowedBytes, Sink, Source } from "../http/source.ts";

/** The calls of an answer's backend request to its answer. After `onEnd`, `onBroken` and `onFailed` comes no other. */
export interface AnswerBackendListener {
  /** The response head has come; returns false if the answer does not keep the body, and takes the source itself. */
  onHead(source: Source): boolean;
  onData(bytes: Buffer): void;
  /** The body is complete. */
  onEnd(): void;
  /** The body is incomplete for good. */
  onBroken(error: ProxyError): void;
  /** There is no response. */
  onFailed(error: ProxyError): void;
}

/** Sends a request, and resolves when its response head has come. */
export type DialRequest = (cancellation: Cancellation) => Promise<Source>;

interface AnswerBackendOptions {
  /** `stream.idleTimeout`, in ms. */
  readonly idleMs: number | undefined;
  readonly onFault: (error: unknown) => void;
}

/** The backend request of one answer. It is sent once: a second one could generate, and cost, another answer. */
export class AnswerBackend implements Sink {
  readonly #options: AnswerBackendOptions;
  readonly #listener: AnswerBackendListener;
  readonly #cancellations = new Set<() => void>();
  #isCancelled = false;
  #source: Source | undefined;
  #idle: DueTimer | undefined;
  #isPaused = false;

  constructor(options: AnswerBackendOptions, listener: AnswerBackendListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Sends the request, and keeps nothing of it: an answer is kept longer than its request. */
  start(dial: DialRequest): void {
    const { onFault } = this.#options;
    const isCancelled = () => this.#isCancelled;
    const cancellation: Cancellation = {
      get isClosed() {
        return isCancelled();
      },
      onClose: (callback) => {
        this.#cancellations.add(callback);
        return () => this.#cancellations.delete(callback);
      },
    };
    dial(cancellation)
      .then(
        (source) => (this.#isCancelled ? source.cancel() : this.#open(source)),
        (error: unknown) => {
          if (!this.#isCancelled) this.#listener.onFailed(refusalOf(error));
        },
      )
      .catch(onFault);
  }

  /** Cancels the request, before its response head or after it; the listener is not called afterwards. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#release()?.cancel();
    for (const callback of [...this.#cancellations]) callback();
    this.#cancellations.clear();
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

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    if (this.#isCancelled) return;
    this.#idle?.refresh();
    try {
      this.#listener.onData(bytes.subarray(start, end));
    } catch (error) {
      this.#failed(error);
    }
  }

  onEnd(): void {
    if (this.#release() !== undefined) this.#listener.onEnd();
  }

  onError(error: Error): void {
    if (this.#release() !== undefined) this.#listener.onBroken(refusalOf(error));
  }

  #open(source: Source): void {
    try {
      if (!this.#listener.onHead(source)) return;
      this.#source = source;
      const { idleMs, onFault } = this.#options;
      if (idleMs !== undefined)
        this.#idle = new DueTimer(
          idleMs,
          guarded(onFault, () => this.#onIdle()),
        );
      source.start(this);
      if (this.#isPaused) source.pause();
    } catch (error) {
      source.cancel();
      this.#failed(error);
    }
  }

  /** Handling the response has thrown. */
  #failed(error: unknown): void {
    this.#options.onFault(error);
    this.#release()?.cancel();
    this.#listener.onBroken(refusalOf(error));
  }

  #onIdle(): void {
    // While the backend is paused, its silence does not count.
    if (this.#isPaused) return void this.#idle?.refresh();
    this.#release()?.cancel();
    this.#listener.onBroken(new ProxyError("backend_timeout", "silent for stream.idleTimeout"));
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
