const NOTHING = Buffer.alloc(0);
/** The room for the first part, in bytes; it is usually the only one. */
const FIRST_BYTES = 256;

/**
 * Bytes that arrive in any number of parts, kept as one buffer whose room doubles.
 *
 * The peer decides how its bytes are split: 64 KiB in single bytes would be 65,536 buffers of 100 bytes each, or 2 GB
 * of copies if each part were joined to all earlier ones.
 */
export class GrowingBytes {
  #room: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All bytes; valid until the next `add`. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /** Adds a copy of a part. */
  add(part: Buffer): void {
    const length = this.#length + part.length;
    if (length > this.#room.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#room.length, FIRST_BYTES));
      this.bytes.copy(room);
      this.#room = room;
    }
    part.copy(this.#room, this.#length);
    this.#length = length;
  }
}
