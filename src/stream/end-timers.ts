import { atWallClock } from "../base/at-wall-clock.ts";
import { jitter } from "../base/jitter.ts";
import { MAX_DURATION_MS } from "../base/units.ts";
import type { LiveStream } from "../exchange/live-stream.ts";

/** Multiple of `maxDuration` after which a stream is aborted if no event boundary came to end it at. */
const BOUNDARY_GRACE = 1.2;

/** How long an event that began before the credential expired may take to end, in ms. */
const EXPIRY_GRACE_MS = 5_000;

/** The timers that end one stream: `stream.maxDuration`, and the expiry of its credential. */
export class EndTimers {
  readonly #stream: LiveStream;
  readonly #timers: NodeJS.Timeout[] = [];
  #stopExpiry: (() => void) | undefined;
  #isCleared = false;

  private constructor(
    stream: LiveStream,
    { maxDuration, expiresAt }: { maxDuration: number | undefined; expiresAt: number | undefined },
  ) {
    this.#stream = stream;
    if (expiresAt !== undefined)
      this.#stopExpiry = atWallClock(
        expiresAt,
        stream.exchange.guarded(() => this.#expire()),
      );
    if (maxDuration === undefined) return;
    // Drawn at random, so that clients that connected together do not all reconnect together.
    this.#after(jitter(maxDuration), () => stream.endAtBoundary("max_duration"));
    this.#after(Math.min(maxDuration * BOUNDARY_GRACE, MAX_DURATION_MS), () => stream.abort("max_duration"));
  }

  /** Starts the timers of a stream; returns undefined if nothing limits its time. */
  static for(stream: LiveStream, maxDuration: number | undefined): EndTimers | undefined {
    const expiresAt = stream.exchange.principal?.expiresAt;
    if (maxDuration === undefined && expiresAt === undefined) return undefined;
    return new EndTimers(stream, { maxDuration, expiresAt });
  }

  clear(): void {
    this.#isCleared = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stopExpiry?.();
  }

  #expire(): void {
    this.#stream.endAtBoundary("auth_expired");
    if (!this.#isCleared) this.#after(EXPIRY_GRACE_MS, () => this.#stream.abort("auth_expired"));
  }

  #after(ms: number, callback: () => void): void {
    this.#timers.push(setTimeout(this.#stream.exchange.guarded(callback), ms));
  }
}
