import { type ProxyError, refusalOf } from "../base/errors.ts";
import type { FaultOwner } from "../base/guard.ts";
import { Canceller } from "../http/canceller.ts";
import type { Cancellation } from "../http/client-response.ts";
import type { Source } from "../http/source.ts";
import { BackendBody } from "../shared/backend-body.ts";

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

/** Sends a request, and resolves when its response head has come; a fault in one of its callbacks goes to `owner`. */
export type DialRequest = (cancellation: Cancellation, owner: FaultOwner) => Promise<Source>;

interface AnswerBackendOptions {
  /** `stream.idleTimeout`, in ms. */
  readonly idleMs: number | undefined;
  readonly onFault: (error: unknown) => void;
}

/** The backend request of one answer. It is sent once: a second one could generate, and cost, another answer. */
export class AnswerBackend implements FaultOwner {
  readonly #options: AnswerBackendOptions;
  readonly #listener: AnswerBackendListener;
  readonly #canceller = new Canceller();
  readonly #body: BackendBody;

  constructor(options: AnswerBackendOptions, listener: AnswerBackendListener) {
    this.#options = options;
    this.#listener = listener;
    this.#body = new BackendBody(options, {
      onData: (bytes) => listener.onData(bytes),
      onEnd: () => listener.onEnd(),
      onError: (error) => listener.onBroken(refusalOf(error)),
    });
  }

  /** Sends the request, and keeps nothing of it: an answer is kept longer than its request. */
  start(dial: DialRequest): void {
    const { onFault } = this.#options;
    const canceller = this.#canceller;
    dial(canceller, this)
      .then(
        (source) => (canceller.isClosed ? source.cancel() : this.#open(source)),
        (error: unknown) => {
          if (!canceller.isClosed) this.#listener.onFailed(refusalOf(error));
        },
      )
      .catch(onFault);
  }

  /** Cancels the request, before its response head or after it; the listener is not called afterwards. */
  cancel(): void {
    if (this.#canceller.isClosed) return;
    this.#canceller.cancel();
    this.#body.cancel();
  }

  fault(error: unknown): void {
    if (this.#body.isOpen) {
      this.#body.fail(error);
      return;
    }
    this.#options.onFault(error);
    if (this.#canceller.isClosed) return;
    this.cancel();
    this.#listener.onFailed(refusalOf(error));
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  #open(source: Source): void {
    try {
      if (!this.#listener.onHead(source)) return;
      if (this.#canceller.isClosed) source.cancel();
      else this.#body.open(source);
    } catch (error) {
      source.cancel();
      this.#options.onFault(error);
      this.#listener.onBroken(refusalOf(error));
    }
  }
}
