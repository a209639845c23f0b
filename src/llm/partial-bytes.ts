import { GrowingBytes } from "../base/growing-bytes.ts";

/** The beginning of an event or JSON value whose end has not come yet, up to a limit. */
export class PartialBytes {
  readonly #limit: number;
  #held: GrowingBytes | undefined;
  #isTooLong = false;
  /** Whether a part was longer than the limit, so that it was not read. */
  hasSkipped = false;

  /** `limit` is in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a part has begun. */
  get isEmpty(): boolean {
    return this.#held === undefined && !this.#isTooLong;
  }

  /** Keeps a copy of these bytes; beyond the limit it drops the part. */
  hold(bytes: Buffer): void {
    if (this.#isTooLong || bytes.length === 0) return;
    if ((this.#held?.length ?? 0) + bytes.length > this.#limit) {
      this.#isTooLong = true;
      this.hasSkipped = true;
      this.#held = undefined;
      return;
    }
    this.#held ??= new GrowingBytes();
    this.#held.add(bytes);
  }

  /** Returns the whole part, which ends with `rest`; undefined if it is longer than the limit. */
  complete(rest: Buffer): Buffer | undefined {
    if (this.#held === undefined && !this.#isTooLong && rest.length <= this.#limit) return rest;
    this.hold(rest);
    const whole = this.#held?.bytes;
    this.#held = undefined;
    this.#isTooLong = false;
    return whole;
  }
}
