const GROWTH = 1.125;

/**
 * The maximum number of entries of one stream to request in one reply.
 *
 * A reply may be too long for the timeout of a command, or for Redis's output buffer limit, at which Redis closes the
 * connection. So the size is halved after a failed read. It grows only after a full page, and by an eighth: each
 * attempt that is too large costs a connection.
 */
export class PageSize {
  readonly #most: number;
  #size: number;

  constructor(most: number) {
    this.#most = most;
    this.#size = most;
  }

  /** At least 1. */
  get entries(): number {
    return Math.floor(this.#size);
  }

  /** Called after a read of up to `asked` entries failed. Reads that fail with one connection count once. */
  shrink(asked: number): void {
    this.#size = Math.max(1, Math.min(this.#size, asked / 2));
  }

  /** Called after a read returned as many entries as it asked for. */
  grow(): void {
    this.#size = Math.min(this.#most, this.#size * GROWTH);
  }
}
