import { ProxyError } from "../base/errors.ts";
import type { TokenLimitConfig } from "../config/limits-schema.ts";
import { CLIENT_CLOSED_REQUEST } from "../exchange/account.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Step } from "../exchange/step.ts";
import { clientNetwork } from "../http/address.ts";
import { retryAfter } from "../http/retry-after.ts";
import type { LimitCounts } from "../observe/limit-metrics.ts";
import type { WindowConfig, WindowCount, Windows } from "./counter-store.ts";
import { boundedKey, spellPeriod } from "./rate-limit.ts";

/** The limit of one client is checked first, so that its refused requests do not hold a reserve of a limit that all share. */
const NARROWEST_FIRST = ["principal", "app", "ip", "route"] as const;

/** The response fields that report a limit of tokens, named as OpenAI's, which its SDKs and others read. */
export const TOKEN_LIMIT_FIELDS: readonly string[] = [
  "x-ratelimit-limit-tokens",
  "x-ratelimit-remaining-tokens",
  "x-ratelimit-reset-tokens",
];

/** The limits of tokens of a route. */
export interface TokenLimits {
  readonly step: Step;
  /** Called when no further request will be counted. */
  retire(): void;
  /** Forgets all counts. */
  close(): void;
}

/** Returns the windows in which a limit of tokens counts; `by` keeps them apart from those of an equal rate. */
export function tokenWindow({ tokens, per, by, maxKeys }: TokenLimitConfig): WindowConfig {
  return { requests: tokens, per, by: `tokens ${by}`, maxKeys };
}

/**
 * Returns undefined for a route without limits of tokens; `windowsOf` returns where a limit counts, `countsOf` where its
 * decisions are counted, by its name.
 */
export function createTokenLimits(
  configs: readonly TokenLimitConfig[],
  windowsOf: (config: WindowConfig) => Windows,
  countsOf: (limit: string) => LimitCounts,
): TokenLimits | undefined {
  if (configs.length === 0) return undefined;
  const limits = configs
    .toSorted((a, b) => NARROWEST_FIRST.indexOf(a.by) - NARROWEST_FIRST.indexOf(b.by))
    .map((config) => new TokenLimit(config, windowsOf(tokenWindow(config)), countsOf));

  async function step(exchange: Exchange): Promise<undefined> {
    const counts: LimitCount[] = [];
    for (const limit of limits) {
      const count = await limit.reserve(exchange);
      counts.push(count);
      if (count.isOver) {
        limit.counts.limited++;
        break;
      }
      limit.counts.allowed++;
    }
    const tightest = counts.reduce((least, count) => (isTighter(count, least) ? count : least));
    exchange.account.limitedTo(tightest.fields);
    if (!tightest.isOver) return;
    // Not at its end: a client that does not read its refusal would hold its reserves.
    for (const { release } of counts) exchange.giveBack(release);
    throw new ProxyError("rate_limited", tightest.name, { fields: [retryAfter(tightest.msLeft)] });
  }

  const close = () => {
    for (const { windows } of limits) windows.close();
  };
  return { step, retire: close, close };
}

/** The count of a limit after a request has taken its reserve. */
interface LimitCount extends WindowCount {
  readonly name: string;
  /** The values of `TOKEN_LIMIT_FIELDS`. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The registered release of the reserve. */
  readonly release: () => void;
}

function isTighter(a: LimitCount, b: LimitCount): boolean {
  return a.isOver || (!b.isOver && a.remaining < b.remaining);
}

/**
 * One limit of tokens of a route.
 *
 * A request takes the reserve when it comes, because its usage is known at its end only. At the end the difference to its
 * usage is counted. So all clients together exceed the limit at most by the tokens, beyond the reserve, of the requests
 * that were under way together.
 */
class TokenLimit {
  readonly windows: Windows;
  readonly #config: TokenLimitConfig;
  readonly counts: LimitCounts;
  readonly #name: string;

  constructor(config: TokenLimitConfig, windows: Windows, countsOf: (limit: string) => LimitCounts) {
    this.#config = config;
    this.windows = windows;
    this.#name = `${config.tokens} tokens per ${spellPeriod(config.per)} by ${config.by}`;
    this.counts = countsOf(this.#name);
  }

  /** Takes the reserve of a request, also if it has no room; `release`, or the end of the exchange, settles it. */
  async reserve(exchange: Exchange): Promise<LimitCount> {
    const key = keyOf(this.#config.by, exchange);
    const { reserve } = this.#config;
    const count = await this.windows.take(key, reserve);
    const endsAt = performance.now() + count.msLeft;
    const release = () => {
      this.#settle(key, spentTokens(exchange, reserve), endsAt).catch((error) => exchange.fault(error));
    };
    exchange.onEnd(release);
    return { ...count, name: `${this.#name} for ${key}`, fields: this.#fields(count), release };
  }

  /** Counts the difference between the reserve, taken in a window that ends at `endsAt`, and the tokens spent. */
  async #settle(key: string, spent: number, endsAt: number): Promise<void> {
    const { reserve, tokens } = this.#config;
    // With more, the window is used up all the same, and Redis counts in 64 bits.
    const difference = Math.min(spent, tokens) - reserve;
    if (difference > 0) await this.windows.take(key, difference);
    // A reserve of an earlier window is gone with it.
    else if (difference < 0 && performance.now() < endsAt) await this.windows.release(key, -difference);
  }

  #fields({ remaining, msLeft }: WindowCount): LimitCount["fields"] {
    const values = [String(this.#config.tokens), String(remaining), spellDuration(msLeft)];
    return TOKEN_LIMIT_FIELDS.map((name, at) => [name, values[at] ?? ""]);
  }
}

/**
 * Returns the tokens that an exchange has spent, once it has ended: its usage; without the whole usage the greater of the
 * reserve and its events, so that an aborted answer is not free; 0 if no answer of a model has begun.
 */
function spentTokens({ account, dialledAt }: Exchange, reserve: number): number {
  const { tokens, status, firstByteMs } = account;
  if (tokens === undefined) {
    // The backend may have begun an answer whose client left before its head.
    const isUnknown =
      status === CLIENT_CLOSED_REQUEST && firstByteMs === undefined && dialledAt !== undefined;
    return isUnknown ? reserve : 0;
  }
  const { inputTokens = 0, outputTokens = 0, parts, isFinal } = tokens;
  if (isFinal) return inputTokens + outputTokens;
  return Math.max(reserve, inputTokens + Math.max(outputTokens, parts, account.events ?? 0));
}

/** Returns the key of a request. It contains the environment, so that tests do not use up production's tokens. */
function keyOf(by: TokenLimitConfig["by"], { route, client, principal }: Exchange): string {
  const environment = route?.environment ?? "";
  if (by === "route") return `${environment} route`;
  if (by === "ip" || principal === undefined) return `${environment} ip ${clientNetwork(client.address)}`;
  const { app, key } = principal;
  if (by === "app" && app !== undefined) return `${environment} app ${boundedKey(app)}`;
  return `${environment} principal ${boundedKey(key)}`;
}

/** Returns a duration as OpenAI writes it: `1h0m0s`, `6m0s` or `8s`, rounded up. */
function spellDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const parts = [hours > 0 && `${hours}h`, minutes > 0 && `${minutes % 60}m`, `${seconds % 60}s`];
  return parts.filter((part) => part !== false).join("");
}
