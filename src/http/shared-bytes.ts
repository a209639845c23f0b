import { toChunk } from "./chunk.ts";

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
