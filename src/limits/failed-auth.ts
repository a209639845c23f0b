import { ProxyError } from "../base/errors.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { clientNetwork, createRanges, UNIX_PEER } from "../http/address.ts";
import { fieldValue } from "../http/fields.ts";
import { retryAfter } from "../http/retry-after.ts";
import type { Windows } from "./counter-store.ts";

/** Returns the windows in which failures are counted, in this process or together with others. */
type WindowsOf = (config: RateConfig) => Windows;

/**
 * Limits the wrong credentials of each client: `limits.failedAuth`.
 *
 * Only failures are counted, so a request with a correct credential costs no access to a shared counter. The
 * list of refused clients is local: a client that used up its failures at other processes is refused here
 * after its next failure.
 */
export class FailedAuth {
  readonly #windowsOf: WindowsOf;
  #config: RateConfig | undefined;
  #windows: Windows | undefined;
  /** The time by `performance.now()` at which each refused client may try again; at most `maxKeys` clients. */
  readonly #refused = new Map<string, number>();

  constructor(config: RateConfig | undefined, windowsOf: WindowsOf) {
    this.#windowsOf = windowsOf;
    this.#config = config;
    this.#windows = config && windowsOf(config);
  }

  /** Changes the limit, undefined for none; the counts of the old limit are dropped. */
  set limit(config: RateConfig | undefined) {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    this.#windows?.close();
    this.#refused.clear();
    this.#config = config;
    this.#windows = config && this.#windowsOf(config);
  }

  /** Throws `rate_limited` (429) for a client with too many failures. */
  check(exchange: Exchange): void {
    if (this.#refused.size === 0) return;
    const client = countedClient(exchange);
    const until = client === undefined ? undefined : this.#refused.get(client);
    if (client === undefined || until === undefined) return;
    const msLeft = until - performance.now();
    if (msLeft <= 0) {
      this.#refused.delete(client);
      return;
    }
    throw new ProxyError("rate_limited", `limits.failedAuth for ${client}`, { fields: [retryAfter(msLeft)] });
  }

  /** Counts a wrong credential. */
  async count(exchange: Exchange): Promise<void> {
    const client = countedClient(exchange);
    if (client === undefined || this.#windows === undefined) return;
    const { isOver, remaining, msLeft } = await this.#windows.take(client);
    if (isOver || remaining === 0) this.#refuse(client, performance.now() + msLeft);
  }

  close(): void {
    this.#windows?.close();
    this.#refused.clear();
  }

  #refuse(client: string, until: number): void {
    const { maxKeys } = this.#config ?? { maxKeys: 0 };
    this.#refused.delete(client);
    // The client that was refused first: its window ends first, or nearly so.
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size < maxKeys) break;
      this.#refused.delete(oldest);
    }
    this.#refused.set(client, until);
  }
}

/** The networks of nearby proxies: loopback, private, link-local and carrier-grade NAT addresses. */
const NEAR = createRanges([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "100.64.0.0/10",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
]);

/** Fields in which a proxy reports the client's address. */
const FORWARDED = ["x-forwarded-for", "forwarded", "x-real-ip"];

/**
 * Returns the client network for which failures are counted; undefined for the address of a proxy, because
 * one client behind it could lock out all others:
 * - a trusted proxy that reports no client address;
 * - a proxy in a nearby network that `trustedProxies` does not name. A client from
 *   elsewhere gains nothing by sending these fields.
 */
function countedClient({ client: { address, isTrusted }, request }: Exchange): string | undefined {
  const isForwarded = FORWARDED.some((name) => fieldValue(request.rawHeaders, name) !== undefined);
  const isProxy = isTrusted ? !isForwarded || address === UNIX_PEER : isForwarded && NEAR.has(address);
  return isProxy ? undefined : clientNetwork(address);
}
