import { constants, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { ClientResponse } from "../http/client-response.ts";
import type { SharedBytes } from "../http/shared-bytes.ts";
import { sendFields } from "./http2-fields.ts";

/** A response on one stream of an HTTP/2 connection. */
export class Http2Response implements ClientResponse {
  readonly #stream: ServerHttp2Stream;
  readonly #body: Readable | undefined;
  #head: { readonly status: number; readonly fields: readonly string[] } | undefined;
  #trailers: readonly [name: string, value: string][] = [];
  #writtenBytes = 0;
  /** END_STREAM is on its way. */
  #isEndSent = false;
  #isBrokenOff = false;
  #exchange: FaultOwner | undefined;

  /** `body` is what comes on the stream; whoever reads it must not take our end of it for the client's. */
  constructor(stream: ServerHttp2Stream, body: Readable | undefined) {
    this.#stream = stream;
    this.#body = body;
    // A reset, or a session that broke: `close` says all there is to say.
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

  ownedBy(owner: FaultOwner): void {
    this.#exchange = owner;
  }

  writeContinue(): void {
    if (this.isClosed || this.#stream.headersSent) return;
    this.#stream.additionalHeaders({ ":status": 100 });
  }

  /** There is no reason phrase in HTTP/2. */
  writeHead(status: number, _reason: string | undefined, fields: readonly string[]): void {
    this.#head = { status, fields };
  }

  flushHead(): void {
    this.#respond(false);
  }

  write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    return this.#write(Buffer.from(bytes.subarray(start, end)));
  }

  writeShared({ plain }: SharedBytes): boolean {
    return this.#write(plain);
  }

  end(lastPart?: Buffer, trailers: readonly [name: string, value: string][] = []): void {
    if (this.isClosed || this.#head === undefined) return;
    this.#trailers = trailers;
    const isEmpty = (lastPart === undefined || lastPart.length === 0) && trailers.length === 0;
    this.#respond(isEmpty);
    // A head that ends its stream, as that of a 304 does, has taken the place of the end.
    if (this.#stream.writableEnded) this.#endSent();
    else if (isEmpty) this.#stream.end();
    else this.#stream.end(lastPart === undefined ? undefined : Buffer.from(lastPart));
  }

  /**
   * RST_STREAM. What was written goes out before it, as far as the client's window lets it, but never the flag
   * that would say that this was all: closing a stream ends it, so that flag waits for `#sendEnd`.
   */
  breakOff(): void {
    if (this.isClosed) return;
    this.#isBrokenOff = true;
    try {
      this.#respond(false);
    } catch {
      // A head that cannot be sent may be the very reason; the reset tells the client as much.
    }
    this.#reset();
  }

  onClose(callback: () => void): () => void {
    const call = guarded((error) => this.#fault(error), callback);
    // Node tells nobody who comes later.
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

  /** Resets the stream where nothing else can end it: an answer that was not sent whole must not look so. */
  #fault(error: unknown): void {
    this.#exchange?.fault(error);
    this.#reset();
  }

  #write(chunk: Buffer): boolean {
    this.#respond(false);
    // A response to HEAD, or one whose status has no body, has ended with its head.
    if (this.isClosed || this.#stream.writableEnded) return true;
    this.#writtenBytes += chunk.length;
    return this.#stream.write(chunk);
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

  /** Everything else is out: now comes the end, unless the body is not whole. */
  #sendEnd(): void {
    if (this.#isBrokenOff || this.isClosed) return;
    sendFields(this.#trailers.flat(), (headers) => this.#stream.sendTrailers(headers));
    this.#endSent();
  }

  #endSent(): void {
    if (this.#isEndSent) return;
    this.#isEndSent = true;
    if (this.#stream.readableEnded || this.#stream.endAfterHeaders) return;
    // An answer ahead of the whole request: the rest of it is not wanted (RFC 9113 section 8.1).
    setImmediate(() => {
      if (this.isClosed || this.#stream.readableEnded) return;
      this.#body?.destroy(new Error("answered ahead of the whole body"));
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
