/** The magic numbers of the zstd format (RFC 8878 section 3.1), little-endian. */
const SKIPPABLE = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;

const MAGIC_BYTES = 4;
const SIZE_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;

/** The field that comes next in a frame. */
type Field = "magic" | "size" | "descriptor" | "block";

/**
 * Finds where the frames of a zstd body end, whatever its parts are.
 *
 * Node's decoder needs this twice: it drops the bytes behind a frame that ends inside a write, and before Node 24 it takes
 * a body that ends early for a complete one.
 */
export class ZstdFrames {
  #field: Field = "magic";
  /** The value of the current field so far, and the number of its bytes that have come. */
  #value = 0;
  #valueBytes = 0;
  /** How many bytes to pass over before the next field. */
  #skip = 0;
  #checksumBytes = 0;
  /** Whether the frame ends behind the bytes to pass over. */
  #isLast = false;
  #isInside = false;

  /** Whether a frame has begun and not ended. */
  get isInside(): boolean {
    return this.#isInside;
  }

  /** Returns a part cut behind each end of a frame; the cuts share its memory. */
  split(part: Buffer): Buffer[] {
    const cuts: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < part.length; ) {
      at = this.#step(part, at);
      if (this.#isInside && at < part.length) continue;
      cuts.push(part.subarray(from, at));
      from = at;
    }
    return cuts;
  }

  /** Reads one byte of a field, or passes over what is in the part; returns the next position. */
  #step(part: Buffer, at: number): number {
    this.#isInside = true;
    let next = at + 1;
    if (this.#skip === 0) {
      this.#read(part[at] ?? 0);
    } else {
      next = Math.min(part.length, at + this.#skip);
      this.#skip -= next - at;
    }
    if (this.#skip === 0 && this.#isLast) this.#reset();
    return next;
  }

  #read(byte: number): void {
    this.#value += byte * 2 ** (8 * this.#valueBytes);
    this.#valueBytes++;
    if (this.#valueBytes < BYTES_OF[this.#field]) return;
    const value = this.#value;
    this.#value = 0;
    this.#valueBytes = 0;
    if (this.#field === "magic") this.#field = isSkippable(value) ? "size" : "descriptor";
    else if (this.#field === "size") this.#endBehind(value);
    else if (this.#field === "descriptor") this.#readDescriptor(value);
    else this.#readBlockHeader(value);
  }

  /** Reads the frame header descriptor, and passes over the rest of the frame header (section 3.1.1.1). */
  #readDescriptor(value: number): void {
    const isSingleSegment = (value & 0x20) !== 0;
    const contentSizeFlag = value >> 6;
    const windowBytes = isSingleSegment ? 0 : 1;
    const dictionaryBytes = [0, 1, 2, 4][value & 3] ?? 0;
    const contentSizeBytes = contentSizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** contentSizeFlag;
    this.#checksumBytes = (value & 4) === 0 ? 0 : CHECKSUM_BYTES;
    this.#skip = windowBytes + dictionaryBytes + contentSizeBytes;
    this.#field = "block";
  }

  /** Reads a block header, and passes over the block (section 3.1.1.2). */
  #readBlockHeader(value: number): void {
    const type = (value >> 1) & 3;
    const length = type === RLE_BLOCK ? 1 : value >> 3;
    if ((value & 1) === 0) this.#skip = length;
    else this.#endBehind(length + this.#checksumBytes);
  }

  #endBehind(bytes: number): void {
    this.#skip = bytes;
    this.#isLast = true;
  }

  #reset(): void {
    this.#field = "magic";
    this.#isLast = false;
    this.#isInside = false;
  }
}

const BYTES_OF: Readonly<Record<Field, number>> = {
  magic: MAGIC_BYTES,
  size: SIZE_BYTES,
  descriptor: 1,
  block: BLOCK_HEADER_BYTES,
};

// `>>> 0` because the operators of bits return signed numbers.
const isSkippable = (magic: number): boolean => (magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE;
