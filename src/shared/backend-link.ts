import { DueTimer } from "../base/due-timer.ts";
import { ProxyError, refusalOf } from "../base/errors.ts";
import { guarded } from "../base/guard.ts";
import type { RedialConfig } from "../config/shared-schema.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { BorrowedBytes, Sink, Source } from "../http/source.ts";
import type { BackendEventReader, ReceivedDrafts } from "./backend-event-reader.ts";
import { judgeHead } from "./backend-verdict.ts";
import { RedialDelay } from "./redial-delay.ts";

/** The calls of a link to its channel. */
export interface LinkListener {
  /** The backend streams; `isFirst` for the first time since `start`. */
  onStream(isFirst: boolean): void;
  onDrafts(received: ReceivedDrafts): void;
  /** The backend has ended the stream for good (204). */
  onEnded(): void;
  /** The backend gave no stream; no instance may ask again before `retryMs` have passed. */
  onRefused(error: ProxyError, retryMs: number): void;
  /** The stream was lost, or could not be reopened; the backend is asked again in `retryMs`. */
  onLost(error: unknown, retryMs: number): void;
}

interface LinkOptions {
  readonly redial: RedialConfig;
  readonly idleMs: number | undefined;
  readonly reader: BackendEventReader;
  /** Sends one request that resumes after an id, and resolves when the response head has come. */
  dial(lastEventId: string, cancellation: Cancellation): Promise<Source>;
  /** Reports a fault. */
  onFault(error: unknown): void;
}

/** A stream that was open for this long counts as a success, even if it was silent. */
const STEADY_MS = 30_000;

/**
 * The backend request of one shared stream. It is sent once for all clients, and again, from the last event on,
 * whenever the stream ends. Before the first stream, any refusal is final. Later, a temporary refusal, such as a 503,
 * is followed by another attempt.
 */
export class BackendLink implements Sink {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #delay: RedialDelay;
  #source: Source | undefined;
  #timer: NodeJS.Timeout | undefined;
  #idle: DueTimer | undefined;
  /** Cancels the current dial; undefined if there is none. */
  #cancelDial: (() => void) | undefined;
  #isRunning = false;
  #isPaused = false;
  /** Whether the backend has streamed since `start`, or clients had an open stream before. */
  #hasStreamed = false;
  #lastEventId = "";
  #retryMs: number | undefined;
  #openedAt = 0;
  /** When the backend last sent something, by `performance.now()`. */
  #trafficAt = 0;

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#delay = new RedialDelay(options.redial);
  }

  /** Whether it has a backend connection or dials. */
  get holdsFile(): boolean {
    return this.#source !== undefined || this.#cancelDial !== undefined;
  }

  /** How long, in ms, the backend has sent nothing on its stream; 0 without one. */
  get silentMs(): number {
    return this.#source === undefined ? 0 : performance.now() - this.#trafficAt;
  }

  /** Asks the backend to resume after an id, if given. `hasStreamed`: clients have an open stream that waits for this. */
  start(lastEventId: string, hasStreamed: boolean): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#hasStreamed = hasStreamed;
    this.#lastEventId = lastEventId;
    this.#dial();
  }

  /** Cancels the request; the listener is not called afterwards. */
  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#release()?.cancel();
    this.#cancelDial?.();
    this.#cancelDial = undefined;
  }

  pause(): void {
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
    if (!this.#isRunning) return;
    try {
      this.#feed(bytes.subarray(start, end));
    } catch (error) {
      this.#failed(error);
    }
  }

  #feed(chunk: Buffer): void {
    this.#idle?.refresh();
    this.#trafficAt = performance.now();
    const received = this.#options.reader.feed(chunk);
    if (received === undefined) {
      this.#refuse(new ProxyError("event_too_large", "longer than shared.maxEvent"), undefined);
      return;
    }
    this.#retryMs = received.retryMs ?? this.#retryMs;
    if (received.drafts.length > 0) this.#delay.succeeded();
    this.#listener.onDrafts(received);
  }

  onEnd(): void {
    this.#lose(undefined);
  }

  onError(error: Error): void {
    this.#lose(error);
  }

  #dial(): void {
    let isClosed = false;
    const callbacks = new Set<() => void>();
    const cancellation: Cancellation = {
      get isClosed() {
        return isClosed;
      },
      onClose: (callback) => {
        callbacks.add(callback);
        return () => callbacks.delete(callback);
      },
    };
    this.#cancelDial = () => {
      isClosed = true;
      for (const callback of callbacks) callback();
    };
    this.#options
      .dial(this.#lastEventId, cancellation)
      .then(
        (source) => (isClosed ? source.cancel() : this.#take(source)),
        (error: unknown) => {
          if (!isClosed) this.#dialFailed(error);
        },
      )
      .catch((error: unknown) => this.#failed(error));
  }

  /** Handling the response has thrown: cancels it, and asks for the stream again. */
  #failed(error: unknown): void {
    this.#options.onFault(error);
    const source = this.#release();
    source?.cancel();
    if (!this.#isRunning) return;
    if (source !== undefined) this.#lastEventId = this.#options.reader.lastBackendId;
    this.#redialAfter(error, undefined);
  }

  #take(source: Source): void {
    try {
      this.#receive(source);
    } catch (error) {
      source.cancel();
      throw error;
    }
  }

  #receive(source: Source): void {
    this.#cancelDial = undefined;
    const verdict = judgeHead(source.head);
    if (verdict.is === "stream") return void this.#open(source);
    source.cancel();
    if (verdict.is === "ended") {
      this.stop();
      this.#listener.onEnded();
    } else if (this.#hasStreamed && verdict.isPassing) {
      this.#redialAfter(verdict.error, verdict.retryAfterMs);
    } else {
      this.#refuse(verdict.error, verdict.retryAfterMs);
    }
  }

  #dialFailed(error: unknown): void {
    this.#cancelDial = undefined;
    if (this.#hasStreamed) return void this.#redialAfter(error, undefined);
    this.#refuse(refusalOf(error), undefined);
  }

  #open(source: Source): void {
    const isFirst = !this.#hasStreamed;
    this.#hasStreamed = true;
    this.#source = source;
    this.#openedAt = performance.now();
    this.#trafficAt = this.#openedAt;
    this.#options.reader.begin(this.#lastEventId);
    const { idleMs } = this.#options;
    if (idleMs !== undefined)
      this.#idle = new DueTimer(
        idleMs,
        guarded(this.#options.onFault, () => this.#onIdle()),
      );
    this.#listener.onStream(isFirst);
    source.start(this);
    if (this.#isPaused) source.pause();
  }

  #onIdle(): void {
    // While the backend is paused, its silence does not count.
    if (this.#isPaused) {
      this.#idle?.refresh();
      return;
    }
    const source = this.#source;
    this.#lose(new ProxyError("backend_timeout", "silent for stream.idleTimeout"));
    source?.cancel();
  }

  #lose(error: unknown): void {
    if (!this.#isRunning || this.#release() === undefined) return;
    if (performance.now() - this.#openedAt > STEADY_MS) this.#delay.succeeded();
    this.#lastEventId = this.#options.reader.lastBackendId;
    this.#redialAfter(error, undefined);
  }

  #redialAfter(error: unknown, retryAfterMs: number | undefined): void {
    const wait = this.#delay.next(this.#retryMs, retryAfterMs);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      guarded(this.#options.onFault, () => this.#dial()),
      wait,
    );
    this.#listener.onLost(error, wait);
  }

  #refuse(error: ProxyError, retryAfterMs: number | undefined): void {
    const wait = this.#delay.next(this.#retryMs, retryAfterMs);
    this.stop();
    this.#listener.onRefused(error, wait);
  }

  /** Releases the current stream, and returns it for cancellation. */
  #release(): Source | undefined {
    this.#idle?.clear();
    this.#idle = undefined;
    const source = this.#source;
    this.#source = undefined;
    return source;
  }
}
