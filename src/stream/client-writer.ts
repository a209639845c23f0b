import { DueTimer } from "../base/due-timer.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { ResponseHead } from "./response-head.ts";

interface Bounds {
  /** The most bytes that wait for the client before the backend is no longer read. */
  readonly clientBuffer: number;
  /** How long, in ms, the client may take nothing of what waits; undefined: for ever. */
  readonly sendTimeout: number | undefined;
}

/**
 * The bounds of one client's response: what the client does not take is watched, and a body that did not come whole
 * is never ended cleanly.
 */
export class ClientWriter {
  readonly #exchange: Exchange;
  readonly #response: ClientResponse;
  readonly #bounds: Bounds;
  #isListening = false;
  #stallTimer: DueTimer | undefined;
  #whenDrained: (() => void) | undefined;

  constructor(exchange: Exchange, response: ClientResponse, bounds: Bounds) {
    this.#exchange = exchange;
    this.#response = response;
    this.#bounds = bounds;
  }

  /** Whether the client has yet to take some of what was written. */
  get isBehind(): boolean {
    return this.#response.pendingBytes > 0;
  }

  /** Prepares the head; it leaves with the first write, or with `flush`. */
  head({ status, reason, fields }: ResponseHead): void {
    this.#response.writeHead(status, reason, fields);
    this.#exchange.headSent(status);
  }

  /** Sends the head now, ahead of any body. */
  flush(): void {
    this.#response.flushHead();
  }

  /**
   * To be asked when the response's `write` returned false, after which `onDrain` comes: sees to it that the client
   * takes something in time, and returns false when its buffer is full; `onceDrained` tells when it is not.
   */
  hasRoom(): boolean {
    this.#watchStall();
    return this.#response.pendingBytes < this.#bounds.clientBuffer;
  }

  /** Calls back once, when the client has taken all that waited; a later callback takes the place of this one. */
  onceDrained(callback: () => void): void {
    this.#whenDrained = callback;
  }

  /** Ends a body that is whole. */
  end(reason: EndReason, trailers: readonly [string, string][] = []): void {
    if (this.#response.isClosed) return;
    this.#exchange.endsWith(reason);
    this.#response.end(undefined, trailers);
    if (this.isBehind) this.#watchStall();
  }

  /** Breaks off a body that is not whole. */
  abort(reason: EndReason, error?: unknown): void {
    if (this.#response.isClosed) return;
    this.#exchange.endsWith(reason);
    this.#exchange.error ??= error;
    this.#response.breakOff();
  }

  /** From the first time on that the client is behind; most never are. */
  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#response.onDrain(() => this.#onDrain());
    this.#response.onClose(() => this.#clearStall());
  }

  #onDrain(): void {
    this.#clearStall();
    const callback = this.#whenDrained;
    this.#whenDrained = undefined;
    callback?.();
  }

  #watchStall(): void {
    this.#listen();
    const { sendTimeout } = this.#bounds;
    if (this.#stallTimer !== undefined || sendTimeout === undefined) return;
    const taken = this.#response.takenBytes;
    const onDue = this.#exchange.guarded(() => {
      this.#stallTimer = undefined;
      if (this.#response.takenBytes > taken) this.#watchStall();
      else this.abort("slow_client");
    });
    this.#stallTimer = new DueTimer(sendTimeout, onDue);
  }

  #clearStall(): void {
    this.#stallTimer?.clear();
    this.#stallTimer = undefined;
  }
}
