import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { RateConfig } from "../config/limits-schema.ts";
import type { RateWindows } from "../limits/rate-limit.ts";
import { type RedisConnection, RedisFault } from "./connection.ts";
import { COUNT } from "./scripts.ts";

/**
 * The windows of one rate, which instances have in common. While Redis is away each instance counts for itself.
 *
 * Not the library's own limiter for Redis: that one waits for an answer without end.
 */
export class RedisWindows implements RateWindows {
  readonly #connection: RedisConnection;
  readonly #key: string;
  readonly #config: RateConfig;
  readonly #own: RateLimiterMemory;

  constructor(connection: RedisConnection, key: string, config: RateConfig) {
    this.#connection = connection;
    this.#key = key;
    this.#config = config;
    this.#own = new RateLimiterMemory({ points: config.requests, duration: config.per / 1000 });
  }

  async consume(key: string): Promise<RateLimiterRes> {
    const count = await this.#count(key, 1);
    if (count === undefined) return this.#own.consume(key);
    if (count.consumedPoints > this.#config.requests) throw count;
    return count;
  }

  async reward(key: string): Promise<RateLimiterRes> {
    return (await this.#count(key, -1)) ?? this.#own.reward(key);
  }

  /** What is in Redis goes by itself: when one instance reloads, what the others have counted stays. */
  delete(key: string): Promise<boolean> {
    return this.#own.delete(key);
  }

  /** Undefined when Redis did not count. */
  async #count(key: string, points: number): Promise<RateLimiterRes | undefined> {
    const { requests, per } = this.#config;
    try {
      const { count, leftMs } = await this.#connection.run(COUNT, [`${this.#key}:${key}`], [points, per]);
      return new RateLimiterRes(Math.max(0, requests - count), leftMs, count, count === points);
    } catch (error) {
      if (error instanceof RedisFault) return undefined;
      throw error;
    }
  }
}
