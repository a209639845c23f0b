import { Readable } from "node:stream";

/**
 * The body of a request for an upgrade: Node gives its connection away behind the head, so no parser reads it.
 *
 * It needs no back-pressure: a body of more than `MAX_UPGRADE_BODY` bytes is served without the upgrade.
 */
export class UpgradeBody extends Readable {
  #left: number;

  /** `length`: the request's Content-Length, at least 1. */
  constructor(length: number) {
    super();
    this.#left = length;
  }

  /** Whether all of it has arrived. */
  get isWhole(): boolean {
    return this.#left === 0;
  }

  /** Takes its part of the bytes that the client has sent; returns those behind it. */
  takeFrom(bytes: Buffer): Buffer {
    if (this.isWhole || this.destroyed) return bytes;
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    if (part.length > 0) this.push(part);
    if (this.isWhole) this.push(null);
    return bytes.subarray(part.length);
  }

  override _read(): void {}
}
