import { constants, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { guarded } from "../base/guard.ts";
import type { ClientResponse, ResponseUser } from "../http/client-response.ts";
import { returning, takeSendBuffer } from "../http/send-buffers.ts";
import type { SharedBytes } from "../http/shared-bytes.ts";
import { sendFields } from "./http2-fields.ts";

/** How often, in ms, a stream that is to be reset looks whether its pending bytes were sent. */
const LOOK_MS = 10;

const MAX_STATUS = 599;

/** A response on one stream of an HTTP/2 connection. */
export class Http2Response implements ClientResponse {
  readonly #stream: ServerHttp2Stream;
  readonly #body: Readable | undefined;
  #head: { readonly status: number; readonly fields: readonly string[] } | undefined;
  #trailers: readonly [name: string, value: string][] = [];
  #writtenBytes = 0;
  /** Whether END_STREAM was sent. */
  #isEndSent = false;
  #isBrokenOff = false;
  #exchange: ResponseUser | undefined;

  /**
   * `body` is the request's body: if the response ends it early, its reader must not conclude that the client has left.
   */
  constructor(stream: ServerHttp2Stream, body: Readable | undefined) {
    this.#stream = stream;
    this.#body = body;
    // After a reset or a broken session `close` follows.
    stream.on("error", () => {});
    stream.once(
      "wantTrailers",
      guarded(
        (error) => this.#fault(error),
        () => this.#sendEnd(),
      ),
    );
  }

  get isHeadSent(): boolean {
    return this.#head !== undefined;
  }

  get isClosed(): boolean {
    return this.#stream.closed || this.#stream.destroyed;
  }

  get isWhole(): boolean {
    return this.#isEndSent && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR;
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  get takenBytes(): number {
    return this.#writtenBytes - this.#stream.writableLength;
  }

  usedBy(user: ResponseUser): void {
    this.#exchange = user;
    this.onClose(() => user.responseClosed(this.isWhole));
  }

  writeContinue(): void {
    if (this.isClosed || this.#stream.headersSent) return;
    this.#stream.additionalHeaders({ ":status": 100 });
  }

  writeInterim(status: number, fields: readonly string[]): void {
    if (this.isClosed || this.#stream.headersSent) return;
    sendFields(fields, (headers) => this.#stream.additionalHeaders({ ...headers, ":status": status }));
  }

  /**
   * HTTP/2 has no reason phrase. Node throws on a status above 599, and a client has to read that as a server error (RFC
   * 9110 section 15), so it is sent as 500.
   */
  writeHead(status: number, _reason: string | undefined, fields: readonly string[]): void {
    this.#head = { status: status > MAX_STATUS ? 500 : status, fields };
  }

  flushHead(): void {
    this.#respond(false);
  }

  write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    const length = end - start;
    const buffer = takeSendBuffer(length);
    bytes.copy(buffer, 0, start, end);
    const giveBack = returning(buffer);
    // Node reports the writes of a reset stream as done, while frames that point into them may wait for the client.
    const onWritten = giveBack && ((error?: Error | null) => this.#stream.destroyed || giveBack(error));
    return this.#write(buffer.subarray(0, length), onWritten);
  }

  writeShared({ plain }: SharedBytes): boolean {
    return this.#write(plain);
  }

  end(lastPart?: Buffer, trailers: readonly [name: string, value: string][] = []): void {
    if (this.isClosed || this.#head === undefined) return;
    this.#trailers = trailers;
    const isEmpty = (lastPart === undefined || lastPart.length === 0) && trailers.length === 0;
    this.#respond(isEmpty);
    // The head of some responses, such as a 304, has ended the stream.
    if (this.#stream.writableEnded) this.#endSent();
    else if (isEmpty) this.#stream.end();
    else this.#stream.end(lastPart === undefined ? undefined : Buffer.from(lastPart));
  }

  /**
   * Sends RST_STREAM after what was written, as far as the client's window allows, but never END_STREAM, which would
   * make the body look complete: Node ends a stream that it closes, so END_STREAM is left to `#sendEnd`.
   */
  breakOff(delivers = false): void {
    if (this.isClosed) return;
    this.#isBrokenOff = true;
    try {
      this.#respond(false);
    } catch {
      // The head itself may have caused the fault; the reset tells the client enough.
    }
    if (delivers) this.#resetWhenSent();
    else this.#reset();
  }

  /** A reset drops pending bytes, and `drain` comes only after a write that filled the buffer: so this looks at them. */
  #resetWhenSent(): void {
    if (this.pendingBytes === 0) this.#reset();
    if (this.isClosed) return;
    const look = guarded(
      (error) => this.#fault(error),
      () => this.#resetWhenSent(),
    );
    setTimeout(look, LOOK_MS);
  }

  onClose(callback: () => void): () => void {
    const call = guarded((error) => this.#fault(error), callback);
    // Node emits `close` only once.
    if (this.#stream.closed && this.#stream.destroyed) queueMicrotask(call);
    else this.#stream.once("close", call);
    return () => this.#stream.removeListener("close", call);
  }

  onDrain(callback: () => void): void {
    this.#stream.on(
      "drain",
      guarded((error) => this.#fault(error), callback),
    );
  }

  /** Ends the exchange with a fault and resets the stream: an incomplete response must not look complete. */
  #fault(error: unknown): void {
    this.#exchange?.fault(error);
    this.#reset();
  }

  #write(chunk: Buffer, onWritten?: (error?: Error | null) => void): boolean {
    this.#respond(false);
    // A response to HEAD, or with a status that has no body, has ended with its head.
    if (this.isClosed || this.#stream.writableEnded) return true;
    this.#writtenBytes += chunk.length;
    return this.#stream.write(chunk, onWritten);
  }

  #respond(endStream: boolean): void {
    if (this.#head === undefined || this.isClosed || this.#stream.headersSent) return;
    const { status, fields } = this.#head;
    const options = { endStream, waitForTrailers: !endStream };
    sendFields(fields, (headers) => this.#stream.respond({ ...headers, ":status": status }, options));
  }

  #reset(): void {
    if (!this.isClosed) this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** Sends the trailers and END_STREAM once all else is sent, unless the body is incomplete. */
  #sendEnd(): void {
    if (this.#isBrokenOff || this.isClosed) return;
    sendFields(this.#trailers.flat(), (headers) => this.#stream.sendTrailers(headers));
    this.#endSent();
  }

  #endSent(): void {
    if (this.#isEndSent) return;
    this.#isEndSent = true;
    if (this.#stream.readableEnded || this.#stream.endAfterHeaders) return;
    // The response is complete before the request: asks the client to stop sending (RFC 9113 section 8.1).
    setImmediate(() => {
      if (this.isClosed || this.#stream.readableEnded) return;
      this.#body?.destroy(new Error("answered before the end of the body"));
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
