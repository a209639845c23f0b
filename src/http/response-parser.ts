import { ChunkDecoder } from "./chunk-decoder.ts";
import { parseFieldLines } from "./field-lines.ts";
import { type Framing, framingOf, type KeepAlive } from "./framing.ts";
import { LineBlock } from "./line-block.ts";
import { ParseError } from "./parse-error.ts";
import type { SourceHead } from "./source.ts";

/** The most interim responses before a final one, and their bytes together: each of them is sent on at once. */
const MAX_INTERIM_RESPONSES = 100;
const MAX_INTERIM_BYTES = 64 * 1024;

const NO_FIELDS: readonly string[] = [];
const NO_HEADS: readonly SourceHead[] = [];

/**
 * A status line up to the end of the status (RFC 9112 section 4), and the characters allowed in each position. A higher
 * minor version is read as 1.1 (RFC 9110 section 2.5), and any status from 100 to 999 is forwarded, as in nginx.
 */
const WHOLE_STATUS_LINE = /^HTTP\/1\.\d [1-9]\d\d[ \r]/;
const DIGITS = "0123456789";
const STATUS_LINE = [..."HTTP/1.", DIGITS, " ", "123456789", DIGITS, DIGITS, " \r"];

/** The part of the response that is expected next. */
const HEAD = 0;
const LENGTH = 1;
const CHUNKS = 2;
/** A body up to the end of the connection. */
const REST = 3;
const DONE = 4;
const FAULT = 5;
type State = typeof HEAD | typeof LENGTH | typeof CHUNKS | typeof REST | typeof DONE | typeof FAULT;

/**
 * Reads the responses of one backend connection, strictly: it refuses what two parsers could read in two ways.
 *
 * Each `read` leaves its result in the public fields: at most one head, one span of payload in the bytes that were
 * read, and the end. Chunks are decoded in place. The sum of the results is the same for any division into reads.
 */
export class ResponseParser extends ChunkDecoder {
  // The fields that each read needs come first, next to each other in memory.
  #state: State = DONE;
  /** The response head, after the read that completed it. */
  head: SourceHead | undefined;
  /** The interim responses of the last read, in order and without 100 Continue, which is for the gateway itself. */
  interim: readonly SourceHead[] = NO_HEADS;
  /** Why the response is refused; nothing is read any more. */
  fault: string | undefined;
  /** Whether bytes came behind the end of the response: they answer no request. */
  hasSurplus = false;
  /** After the head: whether the connection may serve another request. */
  isPersistent = false;
  /** After the head: what the backend says about the connection; undefined if it does not say. */
  keepAlive: KeepAlive | undefined;

  #isHead = false;
  #interimCount = 0;
  #interimBytes = 0;
  #left = 0;
  #lines: LineBlock | undefined;
  readonly #maxHeadBytes: number | undefined;

  /** `maxHeadBytes`: the most bytes of a head; 16 KiB by default. */
  constructor(maxHeadBytes?: number) {
    super();
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** Prepares for the response to a new request; `isHead`: its method is HEAD. */
  begin(isHead: boolean): void {
    this.#state = HEAD;
    this.#isHead = isHead;
    this.#interimCount = 0;
    this.#interimBytes = 0;
    this.rawTrailers = NO_FIELDS;
    this.isPersistent = false;
  }

  /** Whether the response is complete. */
  get isEnded(): boolean {
    return this.#state === DONE;
  }

  /** Reads `bytes` from `from` up to `end`, and may move them within that span. */
  read(bytes: Buffer, from: number, end: number): void {
    this.head = undefined;
    this.interim = NO_HEADS;
    this.payloadStart = 0;
    this.payloadEnd = 0;
    try {
      const at = this.#state === HEAD ? this.#readHeads(bytes, from, end) : from;
      if (at < end) this.#readBody(bytes, at, end);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      this.fault = error.message;
      this.#state = FAULT;
    }
  }

  /** Notes the end of the connection. Returns whether the response is complete: its body may end with the connection. */
  finish(): boolean {
    if (this.#state === REST) this.#state = DONE;
    return this.#state === DONE;
  }

  #readHeads(bytes: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end && this.#state === HEAD) {
      this.#lines ??= new LineBlock(this.#maxHeadBytes);
      const stop = this.#lines.take(bytes, at, end);
      const { text } = this.#lines;
      checkStatusLine(text, stop >= 0);
      if (stop < 0) return end;
      this.#lines = undefined;
      this.#noteHead(text);
      at = stop;
    }
    return at;
  }

  #noteHead(text: string): void {
    const isHttp10 = text[7] === "0";
    const status = Number(text.slice(9, 12));
    const lineEnd = text.indexOf("\r\n");
    const rawHeaders = parseFieldLines(text, lineEnd + 2);
    const framing = framingOf(rawHeaders, status, isHttp10, this.#isHead);
    const head = { status, reason: text.slice(13, lineEnd), rawHeaders };
    if (status === 101) throw new ParseError("101 without a request for an upgrade");
    if (status < 200) {
      if (isHttp10) throw new ParseError("interim response in HTTP/1.0");
      this.#interimCount++;
      this.#interimBytes += text.length;
      if (this.#interimCount > MAX_INTERIM_RESPONSES || this.#interimBytes > MAX_INTERIM_BYTES)
        throw new ParseError("too many interim responses");
      if (status !== 100) this.interim = [...this.interim, head];
      return;
    }
    this.head = head;
    this.#expectBody(framing);
  }

  #expectBody({ body, length, isPersistent, keepAlive }: Framing): void {
    this.isPersistent = isPersistent;
    this.keepAlive = keepAlive;
    this.#left = length;
    if (body === "chunked") this.beginChunks();
    this.#state = body === "none" ? DONE : body === "length" ? LENGTH : body === "chunked" ? CHUNKS : REST;
  }

  #readBody(bytes: Buffer, at: number, end: number): void {
    switch (this.#state) {
      case LENGTH:
        this.#readCounted(at, end);
        break;
      case CHUNKS:
        this.#readChunks(bytes, at, end);
        break;
      case REST:
        this.payloadStart = at;
        this.payloadEnd = end;
        break;
      case DONE:
        this.hasSurplus = true;
    }
  }

  #readCounted(at: number, end: number): void {
    this.payloadStart = at;
    this.payloadEnd = Math.min(end, at + this.#left);
    this.#left -= this.payloadEnd - at;
    if (this.#left > 0) return;
    this.#state = DONE;
    if (this.payloadEnd < end) this.hasSurplus = true;
  }

  #readChunks(bytes: Buffer, at: number, end: number): void {
    const stop = this.decode(bytes, at, end);
    if (!this.areChunksDone) return;
    this.#state = DONE;
    if (stop < end) this.hasSurplus = true;
  }
}

/** Throws a ParseError unless the text begins, or may still begin while it is not `isWhole`, with a status line. */
function checkStatusLine(text: string, isWhole: boolean): void {
  const isOne = isWhole ? WHOLE_STATUS_LINE.test(text) : mayBecomeStatusLine(text);
  if (!isOne) throw new ParseError("invalid status line");
}

function mayBecomeStatusLine(text: string): boolean {
  return STATUS_LINE.every((allowed, at) => at >= text.length || allowed.includes(text[at] as string));
}
