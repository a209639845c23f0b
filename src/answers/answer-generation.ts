import type { ProxyError } from "../base/errors.ts";
import type { Source } from "../http/source.ts";
import type { History } from "../shared/history.ts";
import type { AnswerFacts, ChannelStore } from "../shared/store.ts";
import { AnswerBackend, type AnswerBackendListener, type DialRequest } from "./answer-backend.ts";
import { hasEvents, keptFields } from "./answer-head.ts";
import { AnswerReader } from "./answer-reader.ts";
import { newGeneration } from "./position-id.ts";

export interface GenerationOptions {
  readonly history: History;
  /** Receives the answer's bytes and its state. */
  readonly store: ChannelStore;
  readonly scope: string;
  readonly addsIds: boolean;
  readonly maxBytes: number;
  /** `stream.idleTimeout`, in ms. */
  readonly idleMs: number | undefined;
  /** Whether a response is kept: a stream with status 200. */
  isKept(source: Source): boolean;
  /** Takes a response that is not kept. */
  onPassed(source: Source): void;
  /** There is no response: the key is free again. */
  onFailed(error: ProxyError): void;
  readonly onFault: (error: unknown) => void;
}

/** The request of an answer. */
export interface AnswerRequest {
  readonly dial: DialRequest;
  /** The hash of its body, once that is complete; undefined if it stayed incomplete. */
  readonly bodyHash: Promise<string | undefined>;
}

/** The backend's side of an answer in the process that generates it: it puts bytes and states into the store. */
export class AnswerGeneration implements AnswerBackendListener {
  readonly #options: GenerationOptions;
  readonly #backend: AnswerBackend;
  /** Undefined once it was sent. */
  #request: AnswerRequest | undefined;
  #facts: AnswerFacts;
  #state: "new" | "connecting" | "open" | "over" = "new";
  #reader: AnswerReader | undefined;

  constructor(options: GenerationOptions, request: AnswerRequest) {
    this.#options = options;
    this.#request = request;
    this.#facts = { scope: options.scope };
    const { idleMs, onFault } = options;
    this.#backend = new AnswerBackend({ idleMs, onFault }, this);
  }

  /** Whether it has been started. */
  get isStarted(): boolean {
    return this.#state !== "new";
  }

  start(): void {
    const request = this.#request;
    this.#request = undefined;
    if (this.isStarted || request === undefined) return;
    this.#state = "connecting";
    this.#announce();
    request.bodyHash.then((hash) => this.#onHash(hash)).catch(this.#options.onFault);
    this.#backend.start(request.dial);
  }

  pause(): void {
    this.#backend.pause();
  }

  resume(): void {
    this.#backend.resume();
  }

  /** Cancels the backend request at once; what has come of the answer stays, as a broken one. */
  cancel(error: ProxyError): void {
    const before = this.#state;
    if (before === "over") return;
    this.#backend.cancel();
    if (before === "open") this.onBroken(error);
    else this.onFailed(error);
  }

  /** Cancels the backend request without a word: another process has ended the answer, or the gateway closes. */
  stop(): void {
    this.#state = "over";
    this.#backend.cancel();
  }

  onHead(source: Source): boolean {
    const { isKept, onPassed, history, addsIds, maxBytes } = this.#options;
    if (!isKept(source)) {
      this.#state = "over";
      onPassed(source);
      return false;
    }
    const fields = keptFields(source.head);
    this.#reader = new AnswerReader({
      hasEvents: hasEvents(fields),
      addsIds,
      generation: newGeneration(),
      maxHeldBytes: maxBytes,
      hasId: (id) => history.has(id),
    });
    this.#state = "open";
    this.#facts = { ...this.#facts, fields };
    this.#announce();
    return true;
  }

  onData(bytes: Buffer): void {
    const drafts = this.#reader?.feed(bytes) ?? [];
    if (drafts.length > 0) this.#options.store.append(drafts);
  }

  onEnd(): void {
    this.#end();
    this.#options.store.announce({ is: "ended", answer: this.#facts });
  }

  onBroken({ code }: ProxyError): void {
    this.#end();
    // The fault was reported already: a client that reads the rest must not report it again.
    const told = code === "internal_error" ? "backend_reset" : code;
    this.#options.store.announce({ is: "broken", code: told, answer: this.#facts });
  }

  onFailed(error: ProxyError): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#options.onFailed(error);
    const { status, code, fields } = error;
    this.#options.store.announce({ is: "failed", status, code, fields, retryAt: Date.now() });
  }

  #end(): void {
    this.#state = "over";
    const rest = this.#reader?.rest() ?? [];
    this.#reader = undefined;
    if (rest.length > 0) this.#options.store.append(rest);
  }

  #onHash(bodyHash: string | undefined): void {
    if (bodyHash === undefined) return;
    this.#facts = { ...this.#facts, bodyHash };
    this.#announce();
  }

  #announce(): void {
    const answer = this.#facts;
    if (this.#state === "connecting") this.#options.store.announce({ is: "connecting", answer });
    if (this.#state === "open") this.#options.store.announce({ is: "open", answer });
  }
}
