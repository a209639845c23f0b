const NOTHING = Buffer.alloc(0);
/** The room of the first part; most have one. */
const FIRST_BYTES = 256;

/**
 * Bytes that come in any number of parts, kept as one buffer whose room doubles.
 *
 * A peer decides how its bytes are cut: 64 KiB in single bytes would be as many buffers of 100 bytes each, or 2 GB of
 * copies where each part is joined to all that came before.
 */
export class GrowingBytes {
  #room: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All of them; valid until the next `add`. */
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
