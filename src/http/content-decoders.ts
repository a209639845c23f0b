import type { Transform } from "node:stream";
import zlib from "node:zlib";

/** Exists since Node 22.15; the types are those of Node 20. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: object) => Transform };

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
const { ZSTD_d_windowLogMax } = zlib.constants as { ZSTD_d_windowLogMax?: number };

/** RFC 9659 limits the window of `zstd` to 8 MiB; the format allows 2 TiB, and a decoder allocates what a frame asks for. */
const ZSTD_WINDOW_LOG = 23;

/** The most bytes that a decoder puts out in one turn of the event loop; an error in its input loses no more. */
const CHUNK_BYTES = 4 * 1024;

/**
 * With this `readableHighWaterMark`, a decoder works only when its last output has been read. With Node's default, an
 * error in the input would drop up to 64 KiB that were decoded before it and that a slow client has not taken yet. zlib
 * passes the option to its stream, which Node does not document; a test of a slow reader relies on it.
 */
const SIZES = { chunkSize: CHUNK_BYTES, readableHighWaterMark: 1 };

const INFLATING = { ...SIZES, flush: Z_SYNC_FLUSH };

/** The low bits of the first byte of the zlib format (RFC 1950); a raw deflate stream does not begin with them. */
const ZLIB_METHOD = 8;

/**
 * Creates the decoder for a content coding from the first byte of the body. It puts out an event with the input that
 * completes it, and fails at a body that ends early.
 */
export type CreateDecoder = (firstByte: number) => Transform;

/** The content codings that this Node can decode. */
export const DECODERS: Readonly<Record<string, CreateDecoder>> = {
  gzip: () => zlib.createGunzip(INFLATING),
  // RFC 9110 section 8.4.1.2: some servers send deflate without the zlib format; browsers decode both.
  deflate: (firstByte) =>
    (firstByte & 0xf) === ZLIB_METHOD ? zlib.createInflate(INFLATING) : zlib.createInflateRaw(INFLATING),
  br: () => zlib.createBrotliDecompress({ ...SIZES, flush: BROTLI_OPERATION_FLUSH }),
  ...(createZstdDecompress !== undefined &&
    ZSTD_d_windowLogMax !== undefined && {
      zstd: () => createZstdDecompress({ ...SIZES, params: { [ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
    }),
};

/** Whether this Node can decode a content coding; false for several codings. */
export const isDecodable = (coding: string): boolean => Object.hasOwn(DECODERS, coding);
