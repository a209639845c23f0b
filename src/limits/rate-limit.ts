import { createHash } from "node:crypto";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { ProxyError } from "../base/errors.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import { isDebugging } from "../exchange/debug.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Step } from "../exchange/step.ts";
import { clientNetwork } from "../http/address.ts";
import { retryAfter } from "../http/retry-after.ts";

/** Keys that find no place of their own are counted together under this one, which no key can spell. */
const OTHERS = "others";

/** Longer names are kept as their hash. */
const MAX_KEY = 128;

/** Refusals that concern one client come first, so that it does not use up what all share. */
const NARROWEST_FIRST = ["app", "ip", "route"] as const;

/** The request rates of a route. */
export interface RateLimits {
  readonly step: Step;
  /** No request will be counted any more. */
  retire(): void;
  /** Forgets all counts. */
  close(): void;
}

/** Undefined when the route has no rates. */
export function createRateLimits(
  configs: readonly RateConfig[],
  create = (config: RateConfig) => new RateLimit(config),
): RateLimits | undefined {
  if (configs.length === 0) return undefined;
  const limits = configs
    .toSorted((a, b) => NARROWEST_FIRST.indexOf(a.by) - NARROWEST_FIRST.indexOf(b.by))
    .map(create);

  async function step(exchange: Exchange): Promise<undefined> {
    const counted: { readonly limit: RateLimit; readonly key: string }[] = [];
    for (const limit of limits) {
      const key = limit.keyOf(exchange);
      const count = await limit.consume(key);
      if (isDebugging(exchange))
        exchange.limitFields = [...exchange.limitFields, limit.debugField(key, count)];
      if (!count.isOver) {
        counted.push({ limit, key });
        continue;
      }
      // Nobody was served for what the other policies counted.
      for (const earlier of counted) await earlier.limit.giveBack(earlier.key);
      throw new ProxyError("rate_limited", `${limit.name} for ${key}`, {
        fields: [retryAfter(count.msLeft)],
      });
    }
  }

  const close = () => {
    for (const limit of limits) limit.close();
  };
  return { step, retire: close, close };
}

/** How often a key was seen in its window. */
export interface RateCount {
  readonly isOver: boolean;
  readonly remaining: number;
  /** Until the window ends and the count begins anew. */
  readonly msLeft: number;
}

/** Counts one rate's requests by key, each key in a window of its own. */
export interface RateWindows {
  /** Throws what it would resolve with when there were more than the rate has. */
  consume(key: string): Promise<RateLimiterRes>;
  /** Takes one back. */
  reward(key: string): Promise<RateLimiterRes>;
  /** Forgets a key whose window is over or of no use. */
  delete(key: string): Promise<boolean>;
}

/**
 * One rate: so many requests in a window that begins with the first one, for each key.
 *
 * The library keeps every key it is given until its window ends, so a client with many addresses could grow
 * it without bound. Here a key gets in only while there is room; the others share one count, which costs
 * strangers their service before it costs those who are known, or the process its memory.
 */
export class RateLimit {
  readonly name: string;
  readonly #config: RateConfig;
  readonly #limiter: RateWindows;
  /** When each key's window ends. All windows are equally long, so the first key ends first. */
  readonly #windows = new Map<string, number>();

  /** `windows` are elsewhere than in this process. */
  constructor(config: RateConfig, windows?: RateWindows) {
    this.#config = config;
    this.name = `${config.requests} per ${spellPeriod(config.per)} by ${config.by}`;
    this.#limiter =
      windows ?? new RateLimiterMemory({ points: config.requests, duration: config.per / 1000 });
  }

  /** How many keys are told apart now. */
  get size(): number {
    return this.#windows.size;
  }

  /** The environment is part of it, because a test environment must not use up what production has. */
  keyOf({ route, client, principal }: Exchange): string {
    const { by } = this.#config;
    const environment = route?.environment ?? "";
    if (by === "route") return `${environment} route`;
    if (by === "app" && principal !== undefined) return `${environment} app ${bounded(principal.key)}`;
    return `${environment} ip ${clientNetwork(client.address)}`;
  }

  async consume(key: string): Promise<RateCount> {
    try {
      return this.#countOf(await this.#limiter.consume(this.#place(key)), false);
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return this.#countOf(refusal, true);
      throw refusal;
    }
  }

  /** Takes back what was consumed last. */
  async giveBack(key: string): Promise<void> {
    await this.#limiter.reward(this.#windows.has(key) ? key : OTHERS);
  }

  /** As the API gateway writes it: `remain:9,limit:10,time:10 second`. */
  debugField(key: string, { remaining }: RateCount): readonly [name: string, value: string] {
    const { requests, per, by } = this.#config;
    const counted = by === "route" ? "api" : key.includes(" app ") ? "app" : "ip";
    return [`X-Apig-RateLimit-${counted}`, `remain:${remaining},limit:${requests},time:${spellPeriod(per)}`];
  }

  close(): void {
    for (const key of [...this.#windows.keys(), OTHERS]) void this.#limiter.delete(key);
    this.#windows.clear();
  }

  /** The library goes by the wall clock, which may jump back and make the rest longer than the whole. */
  #countOf({ remainingPoints, msBeforeNext }: RateLimiterRes, isOver: boolean): RateCount {
    const msLeft = Math.min(Math.max(0, msBeforeNext), this.#config.per);
    return { isOver, remaining: Math.max(0, remainingPoints), msLeft };
  }

  /** The key itself if it has or finds a place. */
  #place(key: string): string {
    const now = performance.now();
    for (const [oldest, end] of this.#windows) {
      if (end > now) break;
      this.#windows.delete(oldest);
      // Its window is over; the library's own timer may be late by a turn.
      void this.#limiter.delete(oldest);
    }
    if (this.#windows.has(key)) return key;
    if (this.#windows.size >= this.#config.maxKeys) return OTHERS;
    this.#windows.set(key, now + this.#config.per);
    return key;
  }
}

/** A subject may be as long as a header; what is kept of it may not. */
function bounded(key: string): string {
  return key.length <= MAX_KEY ? key : createHash("sha256").update(key).digest("base64url");
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

function spellPeriod(ms: number): string {
  const [unit, length] = UNITS.find(([, size]) => ms % size === 0) ?? ["second", 1000];
  return `${ms / length} ${unit}`;
}
