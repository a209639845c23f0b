import type { ServerResponse } from "node:http";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import { breakOff } from "../pipeline/reply.ts";
import type { ResponseHead } from "./response-head.ts";

interface Bounds {
  /** The most bytes that wait for the client before the backend is no longer read. */
  readonly clientBuffer: number;
  /** How long, in ms, the client may take nothing of what waits; undefined: for ever. */
  readonly sendTimeout: number | undefined;
}

/**
 * One client's response as a bounded sink: what is written leaves in the same turn, what the client does
 * not take is counted, and a body that did not come whole is never ended cleanly.
 */
export class ClientWriter {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #bounds: Bounds;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, response: ServerResponse, bounds: Bounds) {
    this.#exchange = exchange;
    this.#response = response;
    this.#bounds = bounds;
    response.on("drain", () => this.#clearStall());
    response.once("close", () => this.#clearStall());
  }

  /** Whether the client has yet to take some of what was written. */
  get isBehind(): boolean {
    return this.#response.writableLength > 0;
  }

  /** Prepares the head; it leaves with the first write, or with `flush`. */
  head({ status, reason, fields }: ResponseHead): void {
    this.#response.writeHead(status, reason, fields);
    this.#exchange.headSent(status);
  }

  /** Sends the head now, ahead of any body. */
  flush(): void {
    this.#response.flushHeaders();
  }

  /** Writes, and returns false when the client's buffer is full; `onceDrained` tells when it is not. */
  write(chunk: Buffer): boolean {
    this.#exchange.bytesSent += chunk.length;
    // True while Node's own mark (16 KiB) is not reached; only after a false does `drain` come.
    if (this.#response.write(chunk)) return true;
    this.#watchStall();
    return this.#response.writableLength < this.#bounds.clientBuffer;
  }

  onceDrained(callback: () => void): void {
    this.#response.once("drain", callback);
  }

  /** Ends a body that is whole. */
  end(reason: EndReason, trailers: readonly [string, string][] = []): void {
    if (this.#response.closed) return;
    this.#exchange.endsWith(reason);
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    this.#response.end();
    if (this.isBehind) this.#watchStall();
  }

  /** Breaks off a body that is not whole. */
  abort(reason: EndReason, error?: unknown): void {
    if (this.#response.closed) return;
    this.#exchange.endsWith(reason);
    this.#exchange.error ??= error;
    // What was written in this turn is corked until the next tick: let it out first.
    process.nextTick(breakOff, this.#response);
  }

  #watchStall(): void {
    const { sendTimeout } = this.#bounds;
    if (this.#stallTimer !== undefined || sendTimeout === undefined) return;
    const taken = this.#bytesTaken();
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = undefined;
      if (this.#bytesTaken() > taken) this.#watchStall();
      else this.abort("slow_client");
    }, sendTimeout);
  }

  #clearStall(): void {
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
  }

  /** Bytes that the kernel took for this connection. */
  #bytesTaken(): number {
    const { socket } = this.#response;
    return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
  }
}
