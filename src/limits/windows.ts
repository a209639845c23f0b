import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import {
  CounterStoreUnavailable,
  type WindowConfig,
  type WindowCount,
  type WindowCounter,
  type Windows,
} from "./counter-store.ts";

/** The key that all keys beyond `maxKeys` share; it is not an address, and other keys contain a space. */
const OTHERS = "others";

/** A counter whose user bounds the number of keys. */
export interface ForgettingCounter extends WindowCounter {
  /** Drops what this process holds of a key. */
  forget(key: string): void;
}

/** Returns the windows of a rate in this process. */
export function memoryWindows(config: WindowConfig): BoundedWindows {
  return new BoundedWindows(config, new MemoryWindows(config));
}

/** Returns the state of a window in which a key was counted `count` times, for the limit of a rate. */
export function windowCount({ requests, per }: WindowConfig, count: number, msLeft: number): WindowCount {
  return {
    isOver: count > requests,
    remaining: Math.max(0, requests - count),
    // A wall clock that was set back makes the rest longer than the whole window.
    msLeft: Math.min(Math.max(0, msLeft), per),
  };
}

/** Counts in `shared`, and in `own` whenever `shared` is unavailable: each process then admits the whole rate. */
export function withFallback(shared: WindowCounter, own: WindowCounter): WindowCounter {
  const isUnavailable = (error: unknown): true => {
    if (error instanceof CounterStoreUnavailable) return true;
    throw error;
  };
  return {
    take: (key, amount) =>
      shared.take(key, amount).catch((error) => isUnavailable(error) && own.take(key, amount)),
    release: (key, amount) =>
      shared.release(key, amount).catch((error) => void (isUnavailable(error) && own.release(key, amount))),
  };
}

/** Counts with the library, which keeps every key until its window ends. */
export class MemoryWindows implements ForgettingCounter {
  readonly #config: WindowConfig;
  readonly #limiter: RateLimiterMemory;

  constructor(config: WindowConfig) {
    this.#config = config;
    this.#limiter = new RateLimiterMemory({ points: config.requests, duration: config.per / 1000 });
  }

  async take(key: string, amount = 1): Promise<WindowCount> {
    const { consumedPoints, msBeforeNext } = await this.#limiter.consume(key, amount).catch(asResult);
    return windowCount(this.#config, consumedPoints, msBeforeNext);
  }

  async release(key: string, amount = 1): Promise<void> {
    const window = await this.#limiter.get(key);
    // The library would open a new window with a negative count.
    if (window === null || window.msBeforeNext <= 0) return;
    await this.#limiter.reward(key, Math.min(amount, window.consumedPoints));
  }

  forget(key: string): void {
    void this.#limiter.delete(key);
  }
}

/** The library rejects with the result when a key is over its limit. */
function asResult(error: unknown): RateLimiterRes {
  if (error instanceof RateLimiterRes) return error;
  throw error;
}

/**
 * Bounds the keys of a counter to `maxKeys`.
 *
 * A client with many addresses could otherwise fill the memory. When `maxKeys` is reached, further keys share one
 * count until a window ends: new clients may be refused, known clients keep their own counts.
 */
export class BoundedWindows implements Windows {
  readonly #config: WindowConfig;
  readonly #counter: ForgettingCounter;
  /** When the window of each key ends, by `performance.now()`. All windows are equally long, so the first ends first. */
  readonly #ends = new Map<string, number>();
  #isClosed = false;

  constructor(config: WindowConfig, counter: ForgettingCounter) {
    this.#config = config;
    this.#counter = counter;
  }

  take(key: string, amount?: number): Promise<WindowCount> {
    const count = this.#counter.take(this.#admit(key), amount);
    // A request that a reload has outlived counts where others count, and leaves nothing in this process.
    if (this.#isClosed) this.close();
    return count;
  }

  release(key: string, amount?: number): Promise<void> {
    return this.#counter.release(this.#ends.has(key) ? key : OTHERS, amount);
  }

  close(): void {
    this.#isClosed = true;
    for (const key of [...this.#ends.keys(), OTHERS]) this.#counter.forget(key);
    this.#ends.clear();
  }

  /** Returns the key itself if it has its own count or gets one. */
  #admit(key: string): string {
    const now = performance.now();
    for (const [oldest, end] of this.#ends) {
      if (end > now) break;
      this.#ends.delete(oldest);
      // The window is over, but the library's own timer may be late.
      this.#counter.forget(oldest);
    }
    if (this.#ends.has(key)) return key;
    if (this.#ends.size >= this.#config.maxKeys) return OTHERS;
    this.#ends.set(key, now + this.#config.per);
    return key;
  }
}
