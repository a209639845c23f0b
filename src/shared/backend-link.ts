import { ProxyError, refusalOf } from "../base/errors.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { RedialConfig } from "../config/shared-schema.ts";
import { Canceller } from "../http/canceller.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";
import { BackendBody } from "./backend-body.ts";
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

/** Sends a request for a stream; a fault in one of its callbacks goes to `owner`. */
export type DialStream = (
  lastEventId: string,
  cancellation: Cancellation,
  owner: FaultOwner,
) => Promise<Source>;

interface LinkOptions {
  readonly redial: RedialConfig;
  readonly idleMs: number | undefined;
  readonly reader: BackendEventReader;
  /** Sends one request that resumes after an id, and resolves when the response head has come. */
  readonly dial: DialStream;
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
export class BackendLink implements FaultOwner {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #delay: RedialDelay;
  readonly #body: BackendBody;
  #timer: NodeJS.Timeout | undefined;
  /** Cancels the current dial; undefined if there is none. */
  #dialling: Canceller | undefined;
  #isRunning = false;
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
    this.#body = new BackendBody(options, {
      onData: (bytes) => this.#feed(bytes),
      onEnd: () => this.#lose(undefined),
      onError: (error) => this.#lose(error),
    });
  }

  /** Whether it has a backend connection or dials. */
  get holdsFile(): boolean {
    return this.#body.isOpen || this.#dialling !== undefined;
  }

  /** How long, in ms, the backend has sent nothing on its stream; 0 without one. */
  get silentMs(): number {
    return this.#body.isOpen ? performance.now() - this.#trafficAt : 0;
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
    this.#body.cancel();
    this.#dialling?.cancel();
    this.#dialling = undefined;
  }

  fault(error: unknown): void {
    if (this.#body.isOpen) {
      this.#body.fail(error);
      return;
    }
    this.#dialling?.cancel();
    this.#dialling = undefined;
    this.#failed(error);
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  #feed(chunk: Buffer): void {
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

  #dial(): void {
    const dialling = new Canceller();
    this.#dialling = dialling;
    this.#options
      .dial(this.#lastEventId, dialling, this)
      .then(
        (source) => (dialling.isClosed ? source.cancel() : this.#take(source)),
        (error: unknown) => {
          if (!dialling.isClosed) this.#dialFailed(error);
        },
      )
      .catch((error: unknown) => this.#failed(error));
  }

  /** Taking the response has thrown: asks for the stream again. */
  #failed(error: unknown): void {
    this.#options.onFault(error);
    if (this.#isRunning) this.#redialAfter(error, undefined);
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
    this.#dialling = undefined;
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
    this.#dialling = undefined;
    if (this.#hasStreamed) return void this.#redialAfter(error, undefined);
    this.#refuse(refusalOf(error), undefined);
  }

  #open(source: Source): void {
    const isFirst = !this.#hasStreamed;
    this.#hasStreamed = true;
    this.#openedAt = performance.now();
    this.#trafficAt = this.#openedAt;
    this.#options.reader.begin(this.#lastEventId);
    this.#listener.onStream(isFirst);
    if (this.#isRunning) this.#body.open(source);
    else source.cancel();
  }

  #lose(error: unknown): void {
    if (!this.#isRunning) return;
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
}
