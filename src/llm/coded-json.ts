import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { JsonParts } from "./json-parts.ts";
import { PartialBytes } from "./partial-bytes.ts";
import type { PartReader, Parts } from "./parts.ts";

const DECODERS = new Map([
  ["gzip", gunzipSync],
  ["x-gzip", gunzipSync],
  ["deflate", inflateSync],
  ["br", brotliDecompressSync],
]);

const NOTHING = Buffer.alloc(0);

/** Whether a compressed JSON body of this content coding can be read. */
export function isReadable(coding: string): boolean {
  return DECODERS.has(coding);
}

/**
 * A compressed JSON body: the SDKs of vendors accept compression, and vendors compress answers that come whole. A copy of
 * it is decoded at its end, up to the limit, so that the body itself passes as it is. Within that limit decoding takes a
 * few milliseconds.
 */
export class CodedJson implements Parts {
  readonly #coding: string;
  readonly #json: JsonParts;
  readonly #coded: PartialBytes;
  readonly #maxBytes: number;
  #hasSkipped = false;
  /** Whether the body was decoded. */
  isDecoded = false;

  constructor(coding: string, reader: PartReader, maxBytes: number) {
    this.#coding = coding;
    this.#json = new JsonParts(reader, maxBytes);
    this.#coded = new PartialBytes(maxBytes);
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#json.count;
  }

  get hasSkipped(): boolean {
    return this.#hasSkipped || this.#coded.hasSkipped;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    this.#coded.hold(bytes.subarray(start, end));
  }

  /** Reads the body, which has ended completely. */
  decode(): void {
    const coded = this.#coded.complete(NOTHING);
    const decoder = DECODERS.get(this.#coding);
    if (coded === undefined || decoder === undefined) return;
    try {
      const body = decoder(coded, { maxOutputLength: this.#maxBytes });
      this.isDecoded = true;
      this.#json.feed(body, 0, body.length);
    } catch (error) {
      // Any other error is of a body that is not of its coding.
      this.#hasSkipped = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    }
  }
}
