import type { RateConfig } from "../config/limits-schema.ts";
import type { ConnectionCount, Counters } from "../limits/counters.ts";
import { RateLimit } from "../limits/rate-limit.ts";
import type { Admission, ReplayGuard } from "../limits/seen-signatures.ts";
import type { StreamLimit, StreamLimits } from "../limits/stream-limit.ts";
import type { TicketBox } from "../limits/ticket-box.ts";
import { type RedisConnection, RedisFault } from "./connection.ts";
import { rateKey, signatureKey } from "./key.ts";
import { signatureAnswer } from "./schemas.ts";
import { RedisTicketBox } from "./ticket-box.ts";
import { RedisWindows } from "./windows.ts";

/**
 * By how much the clocks of two instances may differ: one that is behind takes a signature for good when another
 * has let Redis forget it already.
 */
const CLOCK_SKEW_MS = 60_000;

/**
 * Counts that instances have in common: request rates, the signatures that were used, and tickets.
 *
 * Open streams are each instance's own: what one that is killed had counted would never be given back.
 */
export class RedisCounters implements Counters {
  readonly seen: ReplayGuard;
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #own: Counters;

  /** `own` counts what is not shared. */
  constructor(connection: RedisConnection, prefix: string, own: Counters) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#own = own;
    this.seen = { admit: (signature, expiresAt, now) => this.#admit(signature, expiresAt - now) };
  }

  get connections(): ConnectionCount {
    return this.#own.connections;
  }

  /** Those in Redis are bounded by its memory; each goes by itself when its window is over. */
  limitSignatures(count: number): void {
    this.#own.limitSignatures(count);
  }

  tickets(route: string): TicketBox {
    return new RedisTicketBox(this.#connection, this.#prefix, route, this.#own.tickets(route));
  }

  streams(place: string, limits: StreamLimits): StreamLimit | undefined {
    return this.#own.streams(place, limits);
  }

  /** Instances whose files give a route other rates count apart. */
  rate(route: string, config: RateConfig): RateLimit {
    const { requests, per, by } = config;
    const key = rateKey(this.#prefix, JSON.stringify([route, requests, per, by]));
    return new RateLimit(config, new RedisWindows(this.#connection, key, config));
  }

  /** Without Redis nobody knows whether another instance has seen it. */
  async #admit(signature: Buffer, leftMs: number): Promise<Admission> {
    const keepMs = Math.max(0, Math.ceil(leftMs)) + CLOCK_SKEW_MS;
    try {
      const key = signatureKey(this.#prefix, signature);
      return await this.#connection.ask(signatureAnswer, "SET", [key, "", "PX", keepMs, "NX"]);
    } catch (error) {
      if (error instanceof RedisFault) return "unknown";
      throw error;
    }
  }
}
