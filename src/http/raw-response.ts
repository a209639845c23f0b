import type { Socket } from "node:net";
import { runAll } from "../base/guard.ts";
import { NO_CALLBACKS, withOneMore, withoutOne } from "../base/short-list.ts";
import { frame, lastChunk, ROOM_BEFORE, ROOM_BEHIND, toChunkText } from "./chunk.ts";
import type { EarlyResponse, ResponseUser } from "./client-response.ts";
import { type Framing, HEAD_START, type HeadContext, renderHead, renderInterim } from "./raw-head.ts";
import { returning, takeSendBuffer } from "./send-buffers.ts";
import type { SharedBytes } from "./shared-bytes.ts";

/** The connection of a response. */
export interface ResponseOwner {
  readonly socket: Socket;
  /** Called when the head is rendered. */
  headContext(): HeadContext;
  /** Called when the response was sent completely; if `keepsAlive`, the connection may serve another request. */
  answered(keepsAlive: boolean): void;
}

/** Above this size, in bytes, writing a buffer is as fast as writing text, which Node copies to its stack up to 16 KiB. */
const MOST_TEXT_BYTES = 2048;

/**
 * A response to an HTTP/1.1 client that sluice frames itself: each part of the body is one write to the socket, with its
 * chunk size and, the first time, the head.
 */
export class RawResponse implements EarlyResponse {
  // The fields that each write needs come first, next to each other in memory.
  readonly #socket: Socket;
  #framing: Framing | undefined;
  #isEnded = false;
  #isClosed = false;
  /** The head that was prepared and not sent yet. */
  #head = "";
  /** The number of characters of the head that `writeAhead` has sent. */
  #ahead = 0;
  readonly #owner: ResponseOwner;
  #keepsAlive = false;
  #isWhole = false;
  #onClose = NO_CALLBACKS;
  #onDrain = NO_CALLBACKS;
  #exchange: ResponseUser | undefined;

  constructor(owner: ResponseOwner) {
    this.#owner = owner;
    this.#socket = owner.socket;
  }

  get isHeadSent(): boolean {
    return this.#framing !== undefined;
  }

  get hasBegun(): boolean {
    return this.#framing !== undefined && this.#head === "";
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  usedBy(user: ResponseUser): void {
    this.#exchange = user;
  }

  writeAhead(): void {
    if (this.#framing !== undefined || this.#ahead === HEAD_START.length || !this.#isWritable()) return;
    this.#socket.write(HEAD_START.charAt(this.#ahead++), "latin1");
  }

  writeContinue(): void {
    if (this.#isWritable()) this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
  }

  writeInterim(status: number, fields: readonly string[]): void {
    if (this.#framing !== undefined || this.#ahead > 0 || !this.#isWritable()) return;
    this.#socket.write(renderInterim(status, fields), "latin1");
  }

  writeHead(status: number, reason: string | undefined, fields: readonly string[]): void {
    if (this.#framing !== undefined) throw new TypeError("a second head of one response");
    const { text, framing, keepsAlive } = renderHead(status, reason, fields, this.#owner.headContext());
    this.#head = this.#ahead === 0 ? text : text.slice(this.#ahead);
    this.#framing = framing;
    this.#keepsAlive = keepsAlive;
  }

  flushHead(): void {
    const head = this.#takeHead();
    if (head !== "" && this.#isWritable()) this.#socket.write(head, "latin1");
  }

  write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    if (!this.#accepts(end - start)) return true;
    const isChunked = this.#framing === "chunked";
    // Text that has to wait for the client would wait in the heap; a buffer does not.
    if (end - start <= MOST_TEXT_BYTES && this.#socket.writableLength === 0) {
      const text = isChunked ? toChunkText(bytes, start, end) : bytes.toString("latin1", start, end);
      return this.#socket.write(this.#takeHead() + text, "latin1");
    }
    return this.#sendCopy(bytes, start, end, isChunked);
  }

  writeShared(bytes: SharedBytes): boolean {
    if (!this.#accepts(bytes.plain.length)) return true;
    return this.#send(this.#framing === "chunked" ? bytes.chunk : bytes.plain);
  }

  end(lastPart?: Buffer, trailers: readonly [name: string, value: string][] = []): void {
    if (this.#isEnded || !this.#isWritable()) return;
    if (lastPart !== undefined) this.write(lastPart);
    // With fewer bytes than Content-Length, a client would wait for ever, or read the next response as the rest.
    if (typeof this.#framing === "number" && this.#framing > 0) this.breakOff();
    if (!this.#isWritable()) return;
    this.#isEnded = true;
    const rest = this.#framing === "chunked" ? lastChunk(trailers.flat()) : "";
    const head = this.#takeHead();
    const whole = (error?: Error | null) => this.#wentOut(error);
    if (head !== "" || rest !== "") this.#socket.write(head + rest, "latin1", whole);
    else if (this.#socket.writableLength === 0) process.nextTick(whole);
    else this.#socket.write("", whole);
  }

  breakOff(delivers = false): void {
    this.#isEnded = true;
    if (delivers && this.pendingBytes > 0) this.#socket.write("", () => this.#socket.destroy());
    else this.#socket.destroy();
  }

  onClose(callback: () => void): () => void {
    if (this.#isClosed) {
      queueMicrotask(() => this.#call([callback]));
      return () => {};
    }
    this.#onClose = withOneMore(this.#onClose, callback);
    return () => {
      this.#onClose = withoutOne(this.#onClose, callback);
    };
  }

  onDrain(callback: () => void): void {
    this.#onDrain = withOneMore(this.#onDrain, callback);
  }

  /** Called by the connection when its client has ended its half: nothing more is written. */
  clientEnded(): void {
    this.#isEnded = true;
  }

  /** Called by the connection when the kernel has taken all pending bytes. */
  drained(): void {
    this.#call(this.#onDrain);
  }

  /** Called by the connection when it is closed. */
  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const callbacks = this.#onClose;
    this.#onClose = NO_CALLBACKS;
    this.#onDrain = NO_CALLBACKS;
    if (this.#exchange !== undefined) this.#tellClosed(this.#exchange);
    this.#call(callbacks);
  }

  /** Ends the exchange with a fault; aborts the response if it has no exchange yet. */
  fault(error: unknown): void {
    if (this.#exchange === undefined) this.breakOff();
    else this.#exchange.fault(error);
  }

  #tellClosed(exchange: ResponseUser): void {
    try {
      exchange.responseClosed(this.#isWhole);
    } catch (error) {
      this.fault(error);
    }
  }

  #call(callbacks: readonly (() => void)[]): void {
    if (callbacks.length > 0) runAll(callbacks, (error) => this.fault(error));
  }

  #isWritable(): boolean {
    return !this.#isClosed && this.#socket.writable;
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = "";
    return head;
  }

  /** Whether bytes of a body may be written. With a Content-Length, counts them against it and aborts at any beyond. */
  #accepts(length: number): boolean {
    // A destroyed socket ignores writes; checking `destroyed` on every write costs more.
    if (length === 0 || this.#isEnded || this.#isClosed) return false;
    if (this.#framing === undefined) throw new TypeError("a body without a head");
    if (typeof this.#framing === "string") return this.#framing === "chunked";
    if (length > this.#framing) {
      this.breakOff();
      return false;
    }
    this.#framing -= length;
    return true;
  }

  #send(bytes: Buffer): boolean {
    const head = this.#takeHead();
    if (head === "") return this.#socket.write(bytes);
    const all = Buffer.allocUnsafe(head.length + bytes.length);
    all.write(head, 0, "latin1");
    bytes.copy(all, head.length);
    return this.#socket.write(all);
  }

  /** Writes a copy of borrowed bytes, as a chunk or plain, with the head before it. */
  #sendCopy(bytes: Buffer, start: number, end: number, isChunked: boolean): boolean {
    const head = this.#takeHead();
    const before = head.length + ROOM_BEFORE;
    const behind = before + end - start;
    const buffer = takeSendBuffer(behind + ROOM_BEHIND);
    bytes.copy(buffer, before, start, end);
    const partStart = isChunked ? frame(buffer, before, behind) : before;
    const partEnd = isChunked ? behind + ROOM_BEHIND : behind;
    buffer.write(head, partStart - head.length, "latin1");
    return this.#socket.write(buffer.subarray(partStart - head.length, partEnd), returning(buffer));
  }

  #wentOut(error: Error | null | undefined): void {
    if (this.#isClosed || (error !== undefined && error !== null)) return;
    this.#isWhole = true;
    this.closed();
    this.#owner.answered(this.#keepsAlive);
  }
}
