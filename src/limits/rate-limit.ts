import { createHash } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import { isDebugging } from "../exchange/debug.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Step } from "../exchange/step.ts";
import { clientNetwork } from "../http/address.ts";
import { retryAfter } from "../http/retry-after.ts";
import type { LimitCounts } from "../observe/limit-metrics.ts";
import type { WindowCount, Windows } from "./counter-store.ts";

/** The longest key that is kept as it is, in characters; of a longer key, the hash is kept. */
const MAX_KEY = 128;

/** Limits of one client are checked first, so that its refused requests do not use up a limit that all share. */
const NARROWEST_FIRST = ["app", "ip", "route"] as const;

/** The request rates of a route. */
export interface RateLimits {
  readonly step: Step;
  /** Called when no further request will be counted. */
  retire(): void;
  /** Forgets all counts. */
  close(): void;
}

/**
 * Returns undefined for a route without rates; `windowsOf` returns where a rate is counted, `countsOf` where its
 * decisions are, by its name.
 */
export function createRateLimits(
  configs: readonly RateConfig[],
  windowsOf: (config: RateConfig) => Windows,
  countsOf: (limit: string) => LimitCounts,
): RateLimits | undefined {
  if (configs.length === 0) return undefined;
  const limits = configs
    .toSorted((a, b) => NARROWEST_FIRST.indexOf(a.by) - NARROWEST_FIRST.indexOf(b.by))
    .map((config) => new RateLimit(config, windowsOf(config), countsOf));

  async function step(exchange: Exchange): Promise<undefined> {
    const counted: { readonly limit: RateLimit; readonly key: string }[] = [];
    for (const limit of limits) {
      const key = limit.keyOf(exchange);
      const count = await limit.windows.take(key);
      if (isDebugging(exchange)) exchange.account.addLimitField(limit.debugField(key, count));
      if (!count.isOver) {
        limit.counts.allowed++;
        counted.push({ limit, key });
        continue;
      }
      limit.counts.limited++;
      // A refused request must not count against the other limits.
      for (const earlier of counted) await earlier.limit.windows.release(earlier.key);
      throw new ProxyError("rate_limited", `${limit.name} for ${key}`, {
        fields: [retryAfter(count.msLeft)],
      });
    }
  }

  const close = () => {
    for (const { windows } of limits) windows.close();
  };
  return { step, retire: close, close };
}

/** One rate of a route: at most so many requests in a window, for each key. */
export class RateLimit {
  readonly name: string;
  readonly windows: Windows;
  readonly counts: LimitCounts;
  readonly #config: RateConfig;

  constructor(config: RateConfig, windows: Windows, countsOf: (limit: string) => LimitCounts) {
    this.#config = config;
    this.windows = windows;
    this.name = `${config.requests} per ${spellPeriod(config.per)} by ${config.by}`;
    this.counts = countsOf(this.name);
  }

  /** Returns the key of a request. It contains the environment, so that tests do not use up production's rate. */
  keyOf({ route, client, principal }: Exchange): string {
    const { by } = this.#config;
    const environment = route?.environment ?? "";
    if (by === "route") return `${environment} route`;
    if (by === "app" && principal !== undefined) return `${environment} app ${boundedKey(principal.key)}`;
    return `${environment} ip ${clientNetwork(client.address)}`;
  }

  /** Returns the debug field in the API gateway's format: `remain:9,limit:10,time:10 second`. */
  debugField(key: string, { remaining }: WindowCount): readonly [name: string, value: string] {
    const { requests, per, by } = this.#config;
    const counted = by === "route" ? "api" : key.includes(" app ") ? "app" : "ip";
    return [`X-Apig-RateLimit-${counted}`, `remain:${remaining},limit:${requests},time:${spellPeriod(per)}`];
  }
}

/** Shortens a principal's key, which may be as long as a header field. */
export function boundedKey(key: string): string {
  return key.length <= MAX_KEY ? key : createHash("sha256").update(key).digest("base64url");
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

/** Returns a period of whole seconds in the largest unit, such as `1 hour`. */
export function spellPeriod(ms: number): string {
  const [unit, length] = UNITS.find(([, size]) => ms % size === 0) ?? ["second", 1000];
  return `${ms / length} ${unit}`;
}
