import type { Transform } from "node:stream";
import { ProxyError, refusalOf } from "../base/errors.ts";
import { type FaultHandler, type FaultOwner, guarded, runAll } from "../base/guard.ts";
import { NO_CALLBACKS, withOneMore } from "../base/short-list.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { acceptsCoding, contentCoding } from "../http/content-coding.ts";
import { DECODERS, isDecodable } from "../http/content-decoders.ts";
import { fieldValue, fieldValues, removeField, setField } from "../http/fields.ts";
import type { BorrowedBytes, Sink, Source, SourceHead } from "../http/source.ts";
import { ZstdFrames } from "../http/zstd-frames.ts";
import { isEventStream } from "./response-head.ts";

/** Fields of a coded body that are wrong for the decoded one. */
const CODED_FIELDS = [
  "Content-Encoding",
  "Content-Length",
  "Content-MD5",
  "Content-Digest",
  "Repr-Digest",
  "Digest",
];

/**
 * Returns a stream without its content coding if it has to be decoded, else the stream as it is. The decoder is released
 * when the exchange ends.
 */
export function decodedStream(exchange: Exchange, source: Source): Source {
  const coding = contentCoding(source.head.rawHeaders);
  if (coding === undefined || !isDecodable(coding) || !hasToDecode(exchange, source.head, coding))
    return source;
  const decoded = new DecodedSource(source, coding, exchange);
  exchange.onEnd(() => decoded.cancel());
  exchange.account.decodes(coding);
  return decoded;
}

/**
 * Whether sluice decodes a stream. It decodes each event stream, because it reads the events in the text. Any other stream
 * passes as it is if the client accepts its coding, or if the backend forbids a change (`no-transform`, RFC 9110 section
 * 7.7). A part of a body (206) cannot be decoded.
 */
function hasToDecode({ request }: Exchange, head: SourceHead, coding: string): boolean {
  if (head.status === 206) return false;
  if (isEventStream(head)) return true;
  if (acceptsCoding(request.rawHeaders, coding)) return false;
  return !fieldValues(head.rawHeaders, "cache-control").some((value) => /no-transform/i.test(value));
}

function decodedHead(head: SourceHead): SourceHead {
  const rawHeaders = [...head.rawHeaders];
  for (const name of CODED_FIELDS) removeField(rawHeaders, name);
  const tag = fieldValue(rawHeaders, "etag");
  // RFC 9110 section 8.8.3: a strong tag is that of the coded bytes.
  if (tag?.startsWith('"')) setField(rawHeaders, "ETag", `W/${tag}`);
  return { ...head, rawHeaders };
}

/** The end of the body as it came from the backend. */
type BodyEnd = { readonly error: Error } | { readonly rawTrailers: readonly string[] };

/**
 * A stream whose content coding is removed while it comes: each read is decoded at once, on another thread.
 *
 * Its memory is bounded, whatever the body decodes to: the decoder works only when its output has been read, and the
 * backend is not read while the decoder's input buffer is full.
 */
class DecodedSource implements Source, Sink {
  readonly head: SourceHead;
  readonly #source: Source;
  readonly #coding: string;
  readonly #owner: FaultOwner;
  readonly #frames: ZstdFrames | undefined;
  #sink: Sink | undefined;
  /** Created with the first byte: a stream that is silent, or empty, needs none. */
  #decoder: Transform | undefined;
  #end: BodyEnd | undefined;
  #isPaused = false;
  /** Whether the coded data has ended; bytes behind it are ignored, as in browsers. */
  #isComplete = false;
  #onClose = NO_CALLBACKS;
  #isClosed = false;

  /** `coding` is one of `DECODERS`. A fault of the sink ends the stream; its error then goes to `owner`. */
  constructor(source: Source, coding: string, owner: FaultOwner) {
    this.head = decodedHead(source.head);
    this.#source = source;
    this.#coding = coding;
    this.#owner = owner;
    this.#frames = coding === "zstd" ? new ZstdFrames() : undefined;
  }

  start(sink: Sink): void {
    this.#sink = sink;
    this.#source.start(this);
  }

  pause(): void {
    this.#isPaused = true;
    this.#decoder?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#decoder?.resume();
  }

  cancel(): void {
    this.#source.cancel();
    this.#close();
  }

  onClose(callback: () => void): void {
    if (this.#isClosed) callback();
    else this.#onClose = withOneMore(this.#onClose, callback);
  }

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    if (this.#isClosed || this.#isComplete) return;
    // The decoder reads on another thread, and the bytes are only lent.
    const part = Buffer.from(bytes.subarray(start, end));
    this.#decoder ??= this.#createDecoder(part[0] ?? 0);
    let hasRoom = true;
    for (const piece of this.#frames?.split(part) ?? [part])
      hasRoom = this.#decoder.write(piece, this.#onWritten);
    if (!hasRoom) this.#source.pause();
  }

  onEnd(rawTrailers: readonly string[]): void {
    this.#end = { rawTrailers };
    this.#endIfDecoded();
  }

  onError(error: Error): void {
    this.#end = { error };
    this.#endIfDecoded();
  }

  readonly #onFault: FaultHandler = (error) => {
    const sink = this.#sink;
    this.cancel();
    guarded(
      (another) => this.#owner.fault(another),
      () => sink?.onError(refusalOf(error)),
    )();
  };

  readonly #onWritten = guarded(this.#onFault, () => this.#endIfDecoded());

  #createDecoder(firstByte: number): Transform {
    const decoder = (DECODERS[this.#coding] as (typeof DECODERS)[string])(firstByte);
    const on = <T>(event: string, callback: (value: T) => void) =>
      decoder.on(event, guarded(this.#onFault, callback));
    on("error", (error: Error) => this.#failed(error));
    on("drain", () => this.#source.resume());
    on("end", () => this.#completed());
    // Before there is a listener for its data, which would start it.
    if (this.#isPaused) decoder.pause();
    on("data", (bytes: Buffer) => {
      this.#sink?.onData(bytes, 0, bytes.length);
      this.#endIfDecoded();
    });
    return decoder;
  }

  /**
   * Passes the end of the body on when everything before it has been decoded and read. The decoder is told of the end
   * only then: at input that ends early, it drops the output of the same call.
   */
  #endIfDecoded(): void {
    const end = this.#end;
    if (end === undefined || this.#isClosed || this.#isDecoding) return;
    if ("error" in end) this.#finish((sink) => sink.onError(end.error));
    else if (this.#isComplete || this.#decoder === undefined)
      this.#finish((sink) => sink.onEnd(end.rawTrailers));
    else if (this.#frames?.isInside) this.#failed(new Error("unexpected end of file"));
    else if (!this.#decoder.writableEnded) this.#decoder.end();
  }

  get #isDecoding(): boolean {
    if (this.#decoder === undefined || this.#isComplete) return false;
    return this.#decoder.writableLength > 0 || this.#decoder.readableLength > 0;
  }

  #completed(): void {
    this.#isComplete = true;
    this.#decoder?.destroy();
    // The backend may be paused until the decoder has room.
    this.#source.resume();
    this.#endIfDecoded();
  }

  #failed(cause: Error): void {
    if (this.#isComplete) return;
    const text = `Content-Encoding ${this.#coding}: ${cause.message}`;
    this.#finish((sink) => sink.onError(new ProxyError("backend_protocol_error", text, { cause })));
    this.#source.cancel();
  }

  #finish(tell: (sink: Sink) => void): void {
    const sink = this.#sink;
    if (sink !== undefined) tell(sink);
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sink = undefined;
    this.#decoder?.destroy();
    const callbacks = this.#onClose;
    this.#onClose = NO_CALLBACKS;
    runAll(callbacks, (error) => this.#owner.fault(error));
  }
}
