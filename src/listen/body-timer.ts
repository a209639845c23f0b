import { DueTimer } from "../base/due-timer.ts";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** A request's body on its way in, as a parser sees it. */
export interface ArrivingBody {
  /** Whether all of it has arrived, or no more will. */
  readonly isOver: boolean;
  /** Whether a byte could arrive now and is waited for: silence counts only then. */
  readonly isAwaited: boolean;
  /** Grows with each byte that arrives. */
  readonly receivedBytes: number;
}

/** The longest time, in ms, between two looks; a shorter timeout has four looks. */
const MAX_LOOK_MS = 1_000;
const MIN_LOOKS = 4;

/**
 * Notices that a client that has to send its body is silent (`limits.bodyTimeout`). It looks at the body again and again
 * instead of at each read: node:http reports no reads, and most bodies come with their head.
 */
export class BodyTimer {
  readonly #exchange: Exchange;
  readonly #runtime: Runtime;
  readonly #body: ArrivingBody;
  readonly #onSilence: (refusal: ProxyError) => void;
  #timer: DueTimer | undefined;
  #seenBytes = -1;
  /** The time between two looks counts and not that of a clock: a process that stood still has read nothing. */
  #quietMs = 0;

  /** `onSilence` is called once. An error in it is a fault of the exchange. */
  constructor(
    exchange: Exchange,
    runtime: Runtime,
    body: ArrivingBody,
    onSilence: (refusal: ProxyError) => void,
  ) {
    this.#exchange = exchange;
    this.#runtime = runtime;
    this.#body = body;
    this.#onSilence = onSilence;
    this.#arm();
  }

  clear(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  /** In ms: that of the route, once it is known. */
  get #timeout(): number {
    const { route } = this.#exchange;
    return route?.config.limits.bodyTimeout ?? this.#runtime.config.server.limits.bodyTimeout;
  }

  #arm(): void {
    const ms = Math.min(this.#timeout / MIN_LOOKS, MAX_LOOK_MS);
    const look = this.#exchange.guarded(() => this.#look(ms));
    this.#timer = new DueTimer(ms, look);
  }

  #look(elapsedMs: number): void {
    this.#timer = undefined;
    const { isOver, isAwaited, receivedBytes } = this.#body;
    if (isOver) return;
    const isQuiet = isAwaited && receivedBytes === this.#seenBytes;
    this.#seenBytes = receivedBytes;
    this.#quietMs = isQuiet ? this.#quietMs + elapsedMs : 0;
    if (this.#quietMs < this.#timeout) this.#arm();
    else this.#onSilence(new ProxyError("request_timeout", `no byte of the body for ${this.#timeout} ms`));
  }
}
