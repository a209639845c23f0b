import { once } from "node:events";
import type { Transform } from "node:stream";
import zlib from "node:zlib";

/** zstd exists since Node 22.15; the types are those of Node 20. */
const { createZstdCompress } = zlib as { createZstdCompress?: (options?: object) => Transform };

/** The compressors of this Node, by content coding. */
export const COMPRESSORS: Readonly<Record<string, (options?: object) => Transform>> = {
  gzip: (options) => zlib.createGzip(options),
  deflate: (options) => zlib.createDeflate(options),
  br: (options) =>
    zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 }, ...options }),
  ...(createZstdCompress !== undefined && { zstd: createZstdCompress }),
};

export const CODINGS = Object.keys(COMPRESSORS);

/** A compressor of a backend: each part is flushed, so that it can be decoded at once. */
export class FlushingCompressor {
  readonly #stream: Transform & { flush?: (callback: () => void) => void };
  #pieces: Buffer[] = [];

  constructor(stream: Transform) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#pieces.push(bytes));
  }

  /** Returns the compressed bytes of a part. */
  async write(part: string | Buffer): Promise<Buffer> {
    this.#stream.write(part);
    await new Promise<void>((resolve) => {
      this.#stream.flush?.(resolve);
    });
    return this.#taken();
  }

  /** Returns the end of the compressed data. */
  async end(): Promise<Buffer> {
    this.#stream.end();
    await once(this.#stream, "end");
    return this.#taken();
  }

  #taken(): Buffer {
    const taken = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return taken;
  }
}

/** Compresses parts with a flush after each: one piece for each, and one for the end. */
export async function compressedParts(
  coding: string,
  parts: readonly (string | Buffer)[],
  create = COMPRESSORS[coding],
): Promise<Buffer[]> {
  if (create === undefined) throw new Error(`this Node has no ${coding}`);
  const compressor = new FlushingCompressor(create());
  const pieces: Buffer[] = [];
  for (const part of parts) pieces.push(await compressor.write(part));
  return [...pieces, await compressor.end()];
}
