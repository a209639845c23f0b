import type { Transform } from "node:stream";
import { type CreateDecoder, DECODERS } from "../http/content-decoders.ts";

/** Receives decoded bytes with the time of the read that contained them. */
type Output = (bytes: Buffer, at: number) => void;

/** Decodes a body read by read. */
export interface Decoder {
  write(bytes: Buffer, at: number): void;
  /** Resolves when everything written so far has been decoded. */
  idle(): Promise<void>;
  close(): void;
}

/** The Accept-Encoding of a probe, the same as a browser's. */
export const ACCEPT_ENCODING = Object.keys(DECODERS).join(", ");

/** Creates a decoder for a content coding; undefined for an unknown one. Calls `failed` at most once. */
export function createDecoder(
  coding: string | undefined,
  output: Output,
  failed: (error: Error) => void,
): Decoder | undefined {
  if (coding === undefined) return { write: output, idle: async () => {}, close: () => {} };
  const create = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  return create && new ZlibDecoder(create, output, failed);
}

/**
 * Decodes one read at a time: zlib runs on other threads, and the output must carry the time of its read, not that of
 * the thread.
 */
class ZlibDecoder implements Decoder {
  /** Creates the decoder from the first byte. */
  readonly #create: CreateDecoder;
  #stream: Transform | undefined;
  readonly #waiting: (readonly [bytes: Buffer, at: number])[] = [];
  #at = 0;
  #isBusy = false;
  #isOver = false;
  #whenIdle: (() => void)[] = [];

  constructor(create: CreateDecoder, output: Output, failed: (error: Error) => void) {
    this.#create = (firstByte) =>
      create(firstByte)
        .on("data", (bytes: Buffer) => {
          if (!this.#isOver) output(bytes, this.#at);
        })
        .on("error", (error) => {
          if (this.#isOver) return;
          this.close();
          failed(error);
        });
  }

  write(bytes: Buffer, at: number): void {
    if (this.#isOver) return;
    // The caller reuses the bytes.
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
    this.#stream?.destroy();
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
    this.#stream ??= this.#create(bytes[0] ?? 0);
    // A turn later, because zlib may emit output after the callback.
    this.#stream.write(bytes, () => setImmediate(() => this.#isOver || this.#next()));
  }

  #nowIdle(): void {
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }
}
