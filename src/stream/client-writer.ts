import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { BorrowedBytes } from "../http/source.ts";
import type { ResponseHead } from "./response-head.ts";
import { abortDelivered, StallTimer } from "./stall-timer.ts";

interface Bounds {
  /** With this many pending bytes, or more, the backend is not read. */
  readonly clientBuffer: number;
  /** How long, in ms, a client may take none of its pending bytes; undefined for no limit. */
  readonly sendTimeout: number | undefined;
}

/**
 * The bounds of one client's response: a client that stops reading is ended, and an incomplete body never ends cleanly.
 *
 * It has a stall timer of its own, unlike the clients of a shared stream (`StallWatch`): a relay has one client, and most
 * are never behind, so most need no timer.
 */
export class ClientWriter {
  readonly #exchange: Exchange;
  readonly #response: ClientResponse;
  readonly #bounds: Bounds;
  /** Made when the client is behind for the first time; most clients never are. */
  #stall: StallTimer | undefined;
  #whenDrained: (() => void) | undefined;
  /** Whether the body is complete. */
  #hasEnded = false;

  constructor(exchange: Exchange, response: ClientResponse, bounds: Bounds) {
    this.#exchange = exchange;
    this.#response = response;
    this.#bounds = bounds;
  }

  /** Whether bytes are pending. */
  get isBehind(): boolean {
    return this.#response.pendingBytes > 0;
  }

  /** Prepares the head; it is sent with the first write, or by `flush`. */
  head({ status, reason, fields }: ResponseHead): void {
    this.#response.writeHead(status, reason, fields);
    this.#exchange.account.headSent(status);
  }

  /** Sends the head now, ahead of any body. */
  flush(): void {
    this.#response.flushHead();
  }

  /**
   * Writes a part of the body, and watches that the client takes it. Returns false if the client's buffer is full; then
   * `onceDrained` tells when it is empty.
   */
  write(bytes: BorrowedBytes, start?: number, end?: number): boolean {
    const isAccepted = this.#response.write(bytes, start, end);
    // HTTP/2 accepts 16 KiB beyond the client's window, which a client may never open.
    if (this.isBehind) this.#watchStall();
    return isAccepted || this.#response.pendingBytes < this.#bounds.clientBuffer;
  }

  /** Calls back once, when no bytes are pending; a later callback replaces this one. */
  onceDrained(callback: () => void): void {
    this.#whenDrained = callback;
  }

  /** Ends a complete body. */
  end(reason: EndReason, trailers: readonly [string, string][] = []): void {
    if (this.#response.isClosed) return;
    this.#hasEnded = true;
    this.#exchange.account.endsWith(reason);
    this.#response.end(undefined, trailers);
    if (this.isBehind) this.#watchStall();
  }

  /** Aborts an incomplete body; if the backend has failed, behind what had arrived from it. */
  abort(reason: EndReason, error?: unknown): void {
    if (this.#response.isClosed) return;
    this.#exchange.account.endsWith(reason);
    this.#exchange.account.noteError(error);
    const { sendTimeout } = this.#bounds;
    if (reason === "backend_failed") abortDelivered(this.#response, { owner: this.#exchange, sendTimeout });
    else this.#response.breakOff();
  }

  #onDrain(): void {
    this.#stall?.clear();
    const callback = this.#whenDrained;
    this.#whenDrained = undefined;
    callback?.();
  }

  #onStall(): void {
    if (this.#hasEnded) this.#exchange.account.endNotTaken("slow_client");
    this.abort("slow_client");
  }

  #watchStall(): void {
    this.#stall ??= this.#createStall();
    this.#stall.start();
  }

  #createStall(): StallTimer {
    const stall = new StallTimer(this.#response, {
      sendTimeout: this.#bounds.sendTimeout,
      owner: this.#exchange,
      onStall: () => this.#onStall(),
    });
    this.#response.onDrain(() => this.#onDrain());
    this.#response.onClose(() => stall.clear());
    return stall;
  }
}
