import { createHash, type Hash } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { RequestBody } from "../http/client-request.ts";
import type { BodyLease } from "./body-budget.ts";

/** In bytes. Blocks double from the first size to the last, so a body takes at most twice what has come of it. */
const FIRST_BLOCK = 4 * 1024;
const LAST_BLOCK = 64 * 1024;

/** A complete request body. */
export class WholeBody {
  /** The bytes, in order. */
  readonly blocks: readonly Buffer[];
  /** In bytes. */
  readonly length: number;
  /** SHA-256 in hex: the last line of a canonical request. */
  readonly hash: string;
  readonly #lease: BodyLease;

  constructor({ blocks, length, hash }: Pick<WholeBody, "blocks" | "length" | "hash">, lease: BodyLease) {
    this.blocks = blocks;
    this.length = length;
    this.hash = hash;
    this.#lease = lease;
  }

  /** Adds a holder of its memory, such as a connection that sends it, until the returned function is called. */
  hold(): Release {
    return this.#lease.hold();
  }

  /** Releases the exchange's hold. */
  release(): void {
    this.#lease.release();
  }
}

/** The bounds of reading a body. */
export interface WholeBodyBounds {
  /** A body that is longer, or announces to be, gets a 413 at once. */
  readonly maxBytes: number;
  /** Counts the body's memory; a body that finds no room gets a 503. */
  readonly lease: BodyLease;
  /** Called before reading starts, for clients that wait for a 100 Continue. */
  readonly onStart: () => void;
}

/**
 * Reads a complete body. Rejects with a ProxyError.
 *
 * Copies the bytes into blocks of its own: a body that comes byte by byte would otherwise take a buffer of over a
 * hundred bytes for each byte, and no limit would count it. Hashes each part as it comes, because hashing 12 MiB at
 * once would stop every stream of the process; for the same reason the blocks are not joined.
 */
export function readWholeBody({ stream, length }: RequestBody, bounds: WholeBodyBounds): Promise<WholeBody> {
  const { maxBytes, lease, onStart } = bounds;
  if ((length ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  const blocks = new Blocks(lease, length ?? maxBytes);
  return new Promise((resolve, reject) => {
    let isOver = false;
    /** Stops without an error if the exchange is over already. */
    const stop = (error?: ProxyError) => {
      if (isOver) return;
      isOver = true;
      stream.off("data", onData);
      blocks.drop();
      lease.release();
      // The rest is read and dropped, so that the client gets the response instead of a reset.
      stream.resume();
      if (error !== undefined) reject(error);
    };
    const onData = (chunk: Buffer) => {
      if (blocks.length + chunk.length > maxBytes) return stop(tooLarge(maxBytes));
      try {
        blocks.add(chunk);
      } catch (error) {
        stop(error instanceof ProxyError ? error : internal(error));
      }
    };
    // The client has left in the middle of its request.
    const brokeOff = () => {
      stop();
      reject(new ProxyError("bad_request", "incomplete body"));
    };
    stream.once("error", brokeOff);
    stream.once("close", brokeOff);
    stream.once("end", () => {
      if (isOver) return brokeOff();
      isOver = true;
      lease.close();
      resolve(blocks.whole());
    });
    if (stream.destroyed) return brokeOff();
    lease.onStop(stop);
    onStart();
    stream.on("data", onData);
  });
}

/** The blocks of a body so far. */
class Blocks {
  readonly #lease: BodyLease;
  readonly #mostBytes: number;
  readonly #hash: Hash = createHash("sha256");
  #blocks: Buffer[] = [];
  /** The free bytes of the last block. */
  #room = 0;
  length = 0;

  /** `mostBytes`: the maximum number of bytes that can come. */
  constructor(lease: BodyLease, mostBytes: number) {
    this.#lease = lease;
    this.#mostBytes = mostBytes;
  }

  /** Appends a copy of a part, or throws `too_many_bodies`. */
  add(part: Buffer): void {
    this.#hash.update(part);
    for (let at = 0; at < part.length; ) {
      const block = this.#room > 0 ? this.#blocks.at(-1) : this.#grow();
      if (block === undefined) throw new TypeError("a block was added");
      const count = part.copy(block, block.length - this.#room, at);
      this.#room -= count;
      this.length += count;
      at += count;
    }
  }

  drop(): void {
    this.#blocks = [];
    this.#room = 0;
  }

  whole(): WholeBody {
    const blocks = [...this.#blocks];
    const last = blocks.pop();
    if (last !== undefined) blocks.push(last.subarray(0, last.length - this.#room));
    return new WholeBody({ blocks, length: this.length, hash: this.#hash.digest("hex") }, this.#lease);
  }

  #grow(): Buffer {
    const wanted = Math.min(LAST_BLOCK, Math.max(FIRST_BLOCK, this.length));
    const size = Math.max(1, Math.min(wanted, this.#mostBytes - this.length));
    this.#lease.grow(size);
    // Not from Node's pool, because a few bytes of it would keep the whole pool.
    const block = Buffer.allocUnsafeSlow(size);
    this.#blocks.push(block);
    this.#room = size;
    return block;
  }
}

function tooLarge(maxBytes: number): ProxyError {
  return new ProxyError("body_too_large", `a body of more than ${maxBytes} bytes`);
}

function internal(cause: unknown): ProxyError {
  return new ProxyError("internal_error", "unexpected", { cause });
}
