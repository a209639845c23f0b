import { DueTimer } from "../base/due-timer.ts";
import { ProxyError, refusalOf } from "../base/errors.ts";
import { guarded } from "../base/guard.ts";
import type { RedialConfig } from "../config/shared-schema.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { Sink, Source } from "../http/source.ts";
import type { BackendEventReader, ReceivedDrafts } from "./backend-event-reader.ts";
import { judgeHead } from "./backend-verdict.ts";
import { RedialDelay } from "./redial-delay.ts";

/** What a link tells the channel that it belongs to. */
export interface LinkListener {
  /** The backend streams. `isFirst`: it did not since the link was started. */
  onStream(isFirst: boolean): void;
  onDrafts(received: ReceivedDrafts): void;
  /** The backend said that the stream is over. */
  onEnded(): void;
  /** It gave no stream; `retryMs`: not before that time anybody shall ask again. */
  onRefused(error: ProxyError, retryMs: number): void;
  /** A stream is gone, or could not be had again; it is asked again in `retryMs`. */
  onLost(error: unknown, retryMs: number): void;
}

interface LinkOptions {
  readonly redial: RedialConfig;
  readonly idleMs: number | undefined;
  readonly reader: BackendEventReader;
  /** Sends one request that resumes behind an id, and resolves with the answer's head. */
  dial(lastEventId: string, asker: Cancellation): Promise<Source>;
  /** Reports an error of our own. */
  onFault(error: unknown): void;
}

/** A connection that lived that long was none that failed, even if it was silent. */
const STEADY_MS = 30_000;

/**
 * The backend request of one shared stream: asked once for everybody, and again, from where it stood, whenever
 * it ends. Refused before its first stream, it gives up; after that only an answer that is meant ends it.
 */
export class BackendLink implements Sink {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #delay: RedialDelay;
  #source: Source | undefined;
  #timer: NodeJS.Timeout | undefined;
  #idle: DueTimer | undefined;
  /** Calls the dial under way off. */
  #cancelDial: (() => void) | undefined;
  #isRunning = false;
  #isPaused = false;
  /** The backend has streamed since `start`. */
  #hasStreamed = false;
  #lastEventId = "";
  #retryMs: number | undefined;
  #openedAt = 0;

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#delay = new RedialDelay(options.redial);
  }

  /** It has a backend connection, or dials one. */
  get holdsFile(): boolean {
    return this.#source !== undefined || this.#cancelDial !== undefined;
  }

  /** Asks the backend; with an id, to go on behind it. `hasStreamed`: clients have a stream that waits for this. */
  start(lastEventId: string, hasStreamed: boolean): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#hasStreamed = hasStreamed;
    this.#lastEventId = lastEventId;
    this.#dial();
  }

  /** Gives the request up; nothing is called afterwards. */
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

  onData(bytes: Buffer, start: number, end: number): void {
    if (!this.#isRunning) return;
    try {
      this.#feed(bytes.subarray(start, end));
    } catch (error) {
      this.#failed(error);
    }
  }

  #feed(chunk: Buffer): void {
    this.#idle?.refresh();
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
    const asker: Cancellation = {
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
      .dial(this.#lastEventId, asker)
      .then(
        (source) => (isClosed ? source.cancel() : this.#take(source)),
        (error: unknown) => {
          if (!isClosed) this.#unanswered(error);
        },
      )
      .catch((error: unknown) => this.#failed(error));
  }

  /** What was to be done with the answer threw: it is as good as none, and the stream is asked for again. */
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
      this.#answered(source);
    } catch (error) {
      source.cancel();
      throw error;
    }
  }

  #answered(source: Source): void {
    this.#cancelDial = undefined;
    const answer = judgeHead(source.head);
    if (answer.is === "stream") return void this.#open(source);
    source.cancel();
    if (answer.is === "ended") {
      this.stop();
      this.#listener.onEnded();
    } else if (this.#hasStreamed && answer.isPassing) {
      this.#redialAfter(answer.error, answer.retryAfterMs);
    } else {
      this.#refuse(answer.error, answer.retryAfterMs);
    }
  }

  #unanswered(error: unknown): void {
    this.#cancelDial = undefined;
    if (this.#hasStreamed) return void this.#redialAfter(error, undefined);
    this.#refuse(refusalOf(error), undefined);
  }

  #open(source: Source): void {
    const isFirst = !this.#hasStreamed;
    this.#hasStreamed = true;
    this.#source = source;
    this.#openedAt = performance.now();
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
    // A backend that nobody listens to is not silent.
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

  /** Lets go of the stream under way, and returns it. */
  #release(): Source | undefined {
    this.#idle?.clear();
    this.#idle = undefined;
    const source = this.#source;
    this.#source = undefined;
    return source;
  }
}
