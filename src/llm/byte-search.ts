/**
 * Searches for a short text of ASCII characters in parts of a buffer (Boyer-Moore-Horspool).
 *
 * Most answers of a model hold thousands of events without usage, and each is searched. This loop looks at every fourth
 * byte or so; `Buffer.indexOf` needs a subarray for each part, which alone costs more.
 */
export class ByteSearch {
  readonly #text: Buffer;
  /** By byte: how far the window moves on if its last byte is this one. */
  readonly #shifts: Uint8Array;

  /** `text` has at most 255 characters. */
  constructor(text: string) {
    this.#text = Buffer.from(text, "latin1");
    this.#shifts = new Uint8Array(256).fill(text.length);
    const last = text.length - 1;
    for (let at = 0; at < last; at++) this.#shifts[this.#text[at] as number] = last - at;
  }

  /** Returns where the text first begins in `bytes` from `start` up to `end`; -1 without it. */
  indexIn(bytes: Uint8Array, start: number, end: number): number {
    const shifts = this.#shifts;
    const last = this.#text.length - 1;
    const lastByte = this.#text[last];
    for (let at = start + last; at < end; ) {
      const byte = bytes[at] as number;
      if (byte === lastByte && this.#isAt(bytes, at - last)) return at - last;
      at += shifts[byte] as number;
    }
    return -1;
  }

  #isAt(bytes: Uint8Array, start: number): boolean {
    for (let at = 0; at < this.#text.length; at++) if (bytes[start + at] !== this.#text[at]) return false;
    return true;
  }
}
