/** Signatures are forgotten a minute at a time. */
const BUCKET_MS = 60_000;

/** What became of a signature: new and remembered, seen before, new with no room left for it, or nobody knows. */
export type Admission = "new" | "seen" | "full" | "unknown";

/** Tells signatures that were used before from those that were not. */
export interface ReplayGuard {
  /** Asks for and remembers a signature in one step, so that of two simultaneous uses one is `seen`. */
  admit(signature: Buffer, expiresAt: number, now: number): Admission | Promise<Admission>;
}

/**
 * The signatures of a gateway that were used and are still inside their window.
 *
 * One for all routes: the protocol gives `/stream` and `/stream/` one signature, and they may be two routes.
 * It holds only what was verified, so nobody without a secret can fill it. When it is full, the answer is no:
 * to forget one early would let it come twice.
 */
export class SeenSignatures implements ReplayGuard {
  /** How many it remembers at most; lowered, it forgets none of those it has. */
  maxEntries: number;
  /** By the minute in which the window of all of them is over. */
  readonly #buckets = new Map<number, Set<string>>();
  #size = 0;

  constructor(maxEntries: number) {
    this.maxEntries = maxEntries;
  }

  get size(): number {
    return this.#size;
  }

  admit(signature: Buffer, expiresAt: number, now: number): Admission {
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
