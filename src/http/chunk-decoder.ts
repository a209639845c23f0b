import { parseTrailerLines } from "./field-lines.ts";
import { LineBlock } from "./line-block.ts";
import { ParseError } from "./parse-error.ts";

/** The maximum number of hexadecimal digits of a chunk size: 2^52 bytes, which a number holds exactly. */
const MAX_SIZE_DIGITS = 13;

/** The maximum number of bytes of the extensions of one chunk; they are checked and dropped. */
const MAX_EXTENSION_BYTES = 1024;

/** Chunk extensions of RFC 9112 section 7.1.1, without white space: `;name=token;name="quoted"`. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)+$/;

const NO_FIELDS: readonly string[] = [];

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

/** The part of the coding that is expected next. */
const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;
const DONE = 7;
type State =
  | typeof SIZE
  | typeof EXTENSION
  | typeof SIZE_LF
  | typeof DATA
  | typeof DATA_CR
  | typeof DATA_LF
  | typeof TRAILERS
  | typeof DONE;

/**
 * Decodes HTTP/1.1's chunked coding (RFC 9112 section 7.1) in place: the data of several chunks in one read is moved
 * together, so that each read gives one span.
 *
 * ResponseParser extends this class instead of holding a decoder: two objects would mean two cache misses per event.
 */
export class ChunkDecoder {
  /** The span of payload in the bytes that were read last; empty if both are equal. */
  payloadStart = 0;
  payloadEnd = 0;
  #state: State = SIZE;
  /** The value of the chunk size so far, then the number of bytes of data that have not arrived yet. */
  #left = 0;
  #digits = 0;
  /** The trailer fields, once the body has ended. */
  rawTrailers: readonly string[] = NO_FIELDS;
  #extension = "";
  #trailers: LineBlock | undefined;

  /** Prepares for a new body. */
  protected beginChunks(): void {
    this.#state = SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extension = "";
    this.#trailers = undefined;
  }

  protected get areChunksDone(): boolean {
    return this.#state === DONE;
  }

  /**
   * Decodes `bytes` from `at` up to `end`. Returns the end of what it has decoded: `end`, or the end of the body.
   *
   * Throws a ParseError at invalid bytes; the span then holds the payload before them.
   */
  protected decode(bytes: Buffer, at: number, end: number): number {
    this.payloadStart = at;
    this.payloadEnd = at;
    let next = at;
    while (next < end && this.#state !== DONE) next = this.#step(bytes, next, end);
    return next;
  }

  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case SIZE:
        return this.#size(bytes, at, end);
      case EXTENSION:
        return this.#extensions(bytes, at, end);
      case SIZE_LF:
        expect(bytes, at, LF);
        this.#state = this.#left === 0 ? TRAILERS : DATA;
        return at + 1;
      case DATA:
        return this.#data(bytes, at, end);
      case DATA_CR:
        expect(bytes, at, CR);
        this.#state = DATA_LF;
        return at + 1;
      case DATA_LF:
        expect(bytes, at, LF);
        this.#state = SIZE;
        return at + 1;
      default:
        return this.#readTrailers(bytes, at, end);
    }
  }

  #size(bytes: Buffer, at: number, end: number): number {
    for (let next = at; next < end; next++) {
      const byte = bytes[next] as number;
      const digit = hexDigit(byte);
      if (digit < 0) {
        if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON))
          throw new ParseError("invalid chunk size");
        this.#digits = 0;
        this.#state = byte === CR ? SIZE_LF : EXTENSION;
        return byte === CR ? next + 1 : next;
      }
      this.#digits++;
      if (this.#digits > MAX_SIZE_DIGITS)
        throw new ParseError(`chunk size of more than ${MAX_SIZE_DIGITS} digits`);
      this.#left = this.#left * 16 + digit;
    }
    return end;
  }

  #extensions(bytes: Buffer, at: number, end: number): number {
    const cr = bytes.indexOf(CR, at);
    const stop = cr < 0 || cr > end ? end : cr;
    this.#extension += bytes.toString("latin1", at, stop);
    if (this.#extension.length > MAX_EXTENSION_BYTES)
      throw new ParseError(`more than ${MAX_EXTENSION_BYTES} bytes of chunk extensions`);
    if (stop === end) return end;
    if (!EXTENSIONS.test(this.#extension)) throw new ParseError("invalid chunk extensions");
    this.#extension = "";
    this.#state = SIZE_LF;
    return stop + 1;
  }

  #data(bytes: Buffer, at: number, end: number): number {
    const length = Math.min(this.#left, end - at);
    if (this.payloadStart === this.payloadEnd) {
      this.payloadStart = at;
      this.payloadEnd = at + length;
    } else {
      bytes.copyWithin(this.payloadEnd, at, at + length);
      this.payloadEnd += length;
    }
    this.#left -= length;
    if (this.#left === 0) this.#state = DATA_CR;
    return at + length;
  }

  #readTrailers(bytes: Buffer, at: number, end: number): number {
    this.#trailers ??= new LineBlock();
    const stop = this.#trailers.take(bytes, at, end);
    if (stop < 0) return end;
    if (this.#trailers.text !== "") this.rawTrailers = parseTrailerLines(this.#trailers.text);
    this.#state = DONE;
    return stop;
  }
}

function expect(bytes: Buffer, at: number, byte: number): void {
  if (bytes[at] !== byte) throw new ParseError("chunk without CRLF");
}

/** Returns the value of a hexadecimal digit; -1 for any other byte. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
