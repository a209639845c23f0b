import type { ServerResponse } from "node:http";
import { guarded } from "../base/guard.ts";
import type { EarlyResponse, ResponseUser } from "../http/client-response.ts";
import { HEAD_START, renderInterim } from "../http/raw-head.ts";
import type { SharedBytes } from "../http/shared-bytes.ts";
import { dropFromHead } from "../process/internals/half-open.ts";
import { lingerAtClose } from "../process/internals/lingering-close.ts";
import { writeUncheckedHead } from "../process/internals/unchecked-head.ts";
import { whenSent } from "../process/send-queues.ts";
import { resetConnection } from "./reset-connection.ts";

/** A response that node:http frames. */
export class NodeResponse implements EarlyResponse {
  readonly #response: ServerResponse;
  /** The number of characters of the head that `writeAhead` has sent. */
  #ahead = 0;
  #hasBegun = false;
  #exchange: ResponseUser | undefined;
  readonly #writeHead: typeof writeUncheckedHead;

  constructor(response: ServerResponse, writeHead = writeUncheckedHead) {
    this.#response = response;
    this.#writeHead = writeHead;
    // A write to a client that has just left; `close` follows.
    response.on("error", () => response.destroy());
  }

  get isHeadSent(): boolean {
    return this.#response.headersSent;
  }

  /** Whether `end` was called. */
  get isEnded(): boolean {
    return this.#response.writableEnded;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isClosed(): boolean {
    return this.#response.closed;
  }

  get isWhole(): boolean {
    return this.#response.writableFinished;
  }

  get pendingBytes(): number {
    return this.#response.writableLength;
  }

  get takenBytes(): number {
    const { socket } = this.#response;
    return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
  }

  usedBy(user: ResponseUser): void {
    this.#exchange = user;
    this.onClose(() => user.responseClosed(this.isWhole));
  }

  /** Lets the connection end with this response. */
  closesConnection(): void {
    this.#response.shouldKeepAlive = false;
  }

  writeAhead(): void {
    const { socket, headersSent, closed } = this.#response;
    if (headersSent || closed || this.#ahead === HEAD_START.length || !socket?.writable) return;
    socket.write(HEAD_START.charAt(this.#ahead++), "latin1");
  }

  writeContinue(): void {
    this.#response.writeContinue();
  }

  /** Node's own methods send only `Link` fields with 103, and no fields with 102. */
  writeInterim(status: number, fields: readonly string[]): void {
    const { socket, headersSent, closed, req } = this.#response;
    if (headersSent || closed || this.#ahead > 0 || req.httpVersion === "1.0") return;
    if (socket?.writable) socket.write(renderInterim(status, fields), "latin1");
  }

  writeHead(status: number, reason: string | undefined, fields: readonly string[]): void {
    this.#writeHead(this.#response, status, reason, fields);
    if (this.#ahead > 0) dropFromHead(this.#response, this.#ahead);
  }

  flushHead(): void {
    this.#hasBegun = true;
    this.#response.flushHeaders();
  }

  write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    this.#hasBegun = true;
    return this.#response.write(Buffer.from(bytes.subarray(start, end)));
  }

  writeShared({ plain }: SharedBytes): boolean {
    this.#hasBegun = true;
    return this.#response.write(plain);
  }

  end(lastPart?: Buffer, trailers: readonly [name: string, value: string][] = []): void {
    if (this.#response.closed) return;
    this.#hasBegun = true;
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    lingerAtClose(this.#response.req);
    this.#response.end(lastPart);
  }

  /**
   * An HTTP/1.1 client sees its connection closed before the last chunk. An HTTP/1.0 body may end with the connection,
   * so only a reset shows that it is incomplete; a unix socket has no reset.
   */
  breakOff(delivers = false): void {
    const { socket, req } = this.#response;
    const isHttp10 = req.httpVersion === "1.0";
    const breakOff = guarded(
      (error) => this.#fault(error),
      () => {
        if (isHttp10 && socket !== null) resetConnection(socket);
        this.#response.destroy();
      },
    );
    // Node holds what was written in this turn back until the next tick.
    process.nextTick(() => {
      if (!delivers || socket === null || socket.destroyed) breakOff();
      else if (isHttp10) whenSent(socket, breakOff);
      else socket.write("", breakOff);
    });
  }

  onClose(callback: () => void): () => void {
    const call = guarded((error) => this.#fault(error), callback);
    // Node emits `close` only once.
    if (this.#response.closed) queueMicrotask(call);
    else this.#response.once("close", call);
    return () => this.#response.removeListener("close", call);
  }

  onDrain(callback: () => void): void {
    this.#response.on(
      "drain",
      guarded((error) => this.#fault(error), callback),
    );
  }

  /** Called when the kernel has taken all pending bytes, on a connection where Node no longer listens for that. */
  drained(): void {
    this.#response.emit("drain");
  }

  #fault(error: unknown): void {
    this.#exchange?.fault(error);
  }
}
