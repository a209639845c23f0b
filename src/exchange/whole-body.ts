import { createHash, type Hash } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { RequestBody } from "../http/client-request.ts";
import type { BodyLease } from "./body-budget.ts";

/** Blocks double from the first size to the last, so that a body takes at most twice what has come of it. */
const FIRST_BLOCK = 4 * 1024;
const LAST_BLOCK = 64 * 1024;

/** A request's body that was read whole. */
export class WholeBody {
  /** Its bytes, in order. */
  readonly blocks: readonly Buffer[];
  /** In bytes. */
  readonly length: number;
  /** SHA-256 in hex, as the last line of a canonical request has it. */
  readonly hash: string;
  readonly #lease: BodyLease;

  constructor({ blocks, length, hash }: Pick<WholeBody, "blocks" | "length" | "hash">, lease: BodyLease) {
    this.blocks = blocks;
    this.length = length;
    this.hash = hash;
    this.#lease = lease;
  }

  /** Counts one more holder of its memory, such as a connection that sends it, until what is returned is called. */
  hold(): Release {
    return this.#lease.hold();
  }

  /** The exchange needs it no more. */
  release(): void {
    this.#lease.release();
  }
}

/** What bounds the reading of a body. */
export interface WholeBodyBounds {
  /** 413 as soon as the body is longer, or says that it will be. */
  readonly maxBytes: number;
  /** Where its memory is counted; 503 when there is none left. */
  readonly lease: BodyLease;
  /** Called when the body is wanted, for clients that ask before they send it. */
  readonly onStart: () => void;
}

/**
 * Reads a body whole.
 *
 * Copies what comes into blocks of its own: a body that comes byte by byte would else be a buffer for each of them,
 * a hundred bytes and more, which no budget sees. Hashes it as it comes, for the same reason that it is not one
 * buffer: 12 MiB in one go would hold up every stream of the process.
 */
export function readWholeBody({ stream, length }: RequestBody, bounds: WholeBodyBounds): Promise<WholeBody> {
  const { maxBytes, lease, onStart } = bounds;
  if ((length ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  const blocks = new Blocks(lease, length ?? maxBytes);
  return new Promise((resolve, reject) => {
    let isOver = false;
    /** Without an error the exchange is over already, and waits for nothing but the end of its request. */
    const stop = (error?: ProxyError) => {
      if (isOver) return;
      isOver = true;
      stream.off("data", onData);
      blocks.drop();
      lease.release();
      // What still comes is read and dropped, so that the answer arrives instead of a reset.
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
    // The client left in the middle of its request; there is nobody to answer.
    const brokeOff = () => {
      stop();
      reject(new ProxyError("bad_request", "the body broke off"));
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

/** What has come of a body. */
class Blocks {
  readonly #lease: BodyLease;
  readonly #mostBytes: number;
  readonly #hash: Hash = createHash("sha256");
  #blocks: Buffer[] = [];
  /** What the last block has room for. */
  #room = 0;
  length = 0;

  /** `mostBytes` are those that can come at most. */
  constructor(lease: BodyLease, mostBytes: number) {
    this.#lease = lease;
    this.#mostBytes = mostBytes;
  }

  /** Copies a part behind what is here, or throws `too_many_bodies`. */
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
    // No part of Node's pool, of which a few bytes would keep the whole.
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
