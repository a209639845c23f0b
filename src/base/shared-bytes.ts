const CRLF = "\r\n";

/** Bytes for many clients: one buffer for all of them, and one more, made once, for those that need chunks. */
export class SharedBytes {
  readonly plain: Buffer;
  #chunk: Buffer | undefined;

  /** Takes `plain` over; it must not change afterwards. */
  constructor(plain: Buffer) {
    this.plain = plain;
  }

  /** The same as one chunk of HTTP/1.1's chunked coding (RFC 9112 section 7.1). */
  get chunk(): Buffer {
    this.#chunk ??= toChunk(this.plain);
    return this.#chunk;
  }
}

/** One chunk of HTTP/1.1's chunked coding, in bytes of its own. `part` must not be empty: that would be the end. */
export function toChunk(part: Uint8Array): Buffer {
  const size = part.length.toString(16) + CRLF;
  const chunk = Buffer.allocUnsafe(size.length + part.length + 2);
  chunk.write(size, 0, "latin1");
  chunk.set(part, size.length);
  chunk.write(CRLF, size.length + part.length, "latin1");
  return chunk;
}

/** The same as text in latin1. It takes an object less to write, but waits, if it has to, in the heap. */
export function toChunkText(part: Buffer): string {
  return part.length.toString(16) + CRLF + part.toString("latin1") + CRLF;
}
