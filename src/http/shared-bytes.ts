import { toChunk } from "./chunk.ts";

/** Bytes for several clients: one buffer for all, and a second one, made once, for clients that need chunks. */
export class SharedBytes {
  readonly plain: Buffer;
  #chunk: Buffer | undefined;

  /** Keeps `plain`, which must not change afterwards. */
  constructor(plain: Buffer) {
    this.plain = plain;
  }

  /** The bytes as one chunk of HTTP/1.1's chunked coding (RFC 9112 section 7.1). */
  get chunk(): Buffer {
    this.#chunk ??= toChunk(this.plain);
    return this.#chunk;
  }
}
