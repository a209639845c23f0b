import type { Signatures, SignatureUse } from "./counter-store.ts";

/** Signatures are forgotten a minute at a time. */
const BUCKET_MS = 60_000;

/**
 * The used signatures of a gateway that are still valid, in this process.
 *
 * All routes share them: the protocol gives `/stream` and `/stream/` the same signature, and they may be two routes.
 * Only verified signatures are kept, so filling the memory requires a secret. When it is full, new signatures are
 * refused: forgetting a signature early would let it be used twice.
 */
export class MemorySignatures implements Signatures {
  /** How many signatures are remembered at most; a lower limit forgets none. */
  maxEntries: number;
  /** By the minute at whose end all signatures of the bucket have expired. */
  readonly #buckets = new Map<number, Set<string>>();
  #size = 0;

  constructor(maxEntries: number) {
    this.maxEntries = maxEntries;
  }

  useOnce(signature: Buffer, expiresAt: number, now: number): SignatureUse {
    this.#forget(now);
    const id = signature.toString("base64");
    for (const bucket of this.#buckets.values()) if (bucket.has(id)) return "seen";
    if (this.#size >= this.maxEntries) return "full";
    const minute = Math.ceil(expiresAt / BUCKET_MS);
    const bucket = this.#buckets.get(minute) ?? new Set();
    this.#buckets.set(minute, bucket.add(id));
    this.#size++;
    return "new";
  }

  #forget(now: number): void {
    for (const [minute, bucket] of this.#buckets) {
      if (minute * BUCKET_MS >= now) continue;
      this.#buckets.delete(minute);
      this.#size -= bucket.size;
    }
  }
}
