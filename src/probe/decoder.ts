import type { Transform } from "node:stream";
import zlib from "node:zlib";

/** Takes decoded bytes with the time of the read that brought them. */
type Output = (bytes: Buffer, at: number) => void;

/** Decodes a body read by read. */
export interface Decoder {
  write(bytes: Buffer, at: number): void;
  /** Resolves when all that was written has been given out. */
  idle(): Promise<void>;
  close(): void;
}

/** In Node since 22.15. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
const inflating = { flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH };
const unbrotli = () => zlib.createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH });

/** Flushing at each read gives out each event that is whole in the compressed bytes so far. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: () => zlib.createGunzip(inflating),
  "x-gzip": () => zlib.createGunzip(inflating),
  deflate: () => zlib.createInflate(inflating),
  br: unbrotli,
  ...(createZstdDecompress !== undefined && { zstd: () => createZstdDecompress() }),
};

/** What a probe accepts, as browsers do. */
export const ACCEPT_ENCODING = ["gzip", "deflate", "br", ...("zstd" in DECODERS ? ["zstd"] : [])].join(", ");

/** A decoder of a content coding; undefined for one that is not known. `failed` is called at most once. */
export function createDecoder(
  coding: string | undefined,
  output: Output,
  failed: (error: Error) => void,
): Decoder | undefined {
  if (coding === undefined) return { write: output, idle: async () => {}, close: () => {} };
  const create = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  return create && new ZlibDecoder(create(), output, failed);
}

/**
 * zlib works on other threads. One read is decoded after the other, so that what comes out has the time of the read
 * that went in, and not that of the thread.
 */
class ZlibDecoder implements Decoder {
  readonly #stream: Transform;
  readonly #waiting: (readonly [bytes: Buffer, at: number])[] = [];
  #at = 0;
  #isBusy = false;
  #isOver = false;
  #whenIdle: (() => void)[] = [];

  constructor(stream: Transform, output: Output, failed: (error: Error) => void) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => {
      if (!this.#isOver) output(bytes, this.#at);
    });
    stream.on("error", (error) => {
      if (this.#isOver) return;
      this.close();
      failed(error);
    });
  }

  write(bytes: Buffer, at: number): void {
    if (this.#isOver) return;
    // The bytes are only lent.
    this.#waiting.push([Buffer.from(bytes), at]);
    if (!this.#isBusy) this.#next();
  }

  async idle(): Promise<void> {
    if (this.#isBusy && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#whenIdle.push(resolve);
      });
  }

  close(): void {
    this.#isOver = true;
    this.#isBusy = false;
    this.#stream.destroy();
    this.#nowIdle();
  }

  #next(): void {
    const next = this.#waiting.shift();
    this.#isBusy = next !== undefined;
    if (next === undefined) {
      this.#nowIdle();
      return;
    }
    const [bytes, at] = next;
    this.#at = at;
    // A turn later: what was decoded may be given out behind the callback.
    this.#stream.write(bytes, () => setImmediate(() => this.#isOver || this.#next()));
  }

  #nowIdle(): void {
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }
}
