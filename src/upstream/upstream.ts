import { createSigningKey, type SigningKey } from "../auth/sign-request.ts";
import type { BalanceMethod, UpstreamConfig } from "../config/upstream-schema.ts";
import type { Log } from "../observe/log.ts";
import { ActiveHealth } from "./active-health.ts";
import { Backend } from "./backend.ts";
import { type Balance, createBalance } from "./balance.ts";
import { createLookup } from "./lookup.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { UpstreamOwner } from "./upstream-owner.ts";

/** How long, in ms, a backend may take to be connected and to answer. */
export interface Timeouts {
  readonly connectTimeout: number;
  readonly responseHeaderTimeout: number;
}

/** Where a route's requests go: a group of backends, of which each request gets one. */
export class Upstream {
  readonly backends: readonly Backend[];
  readonly timeouts: Timeouts;
  readonly retries: number;
  readonly preservesHost: boolean;
  /** Signs what is sent; undefined when nothing is signed. */
  readonly signingKey: SigningKey | undefined;
  /** Marks what is sent, so that it is known when it comes back. */
  readonly loops: LoopGuard;
  readonly #primaries: Pool;
  readonly #backups: Pool;
  readonly #name: string;
  readonly #log: Log;
  readonly #activeHealth: ActiveHealth | undefined;

  constructor(config: UpstreamConfig, { name, log, loops }: UpstreamOwner) {
    const lookup = createLookup();
    this.backends = config.backends.map((backend) => new Backend(backend, config.tls, lookup));
    this.timeouts = config;
    this.retries = config.retries;
    this.preservesHost = config.hostHeader === "preserve";
    this.loops = loops;
    this.signingKey = config.sign && createSigningKey(config.sign);
    this.#primaries = createPool(
      this.backends.filter(({ isBackup }) => !isBackup),
      config.balance,
    );
    this.#backups = createPool(
      this.backends.filter(({ isBackup }) => isBackup),
      config.balance,
    );
    this.#name = name;
    // Not a child of it, which would keep the level of today when a reload changes that.
    this.#log = log;
    if (config.healthCheck !== undefined) {
      this.#activeHealth = new ActiveHealth(this.backends, config.healthCheck, { name, log, loops });
    }
    if (config.tls?.verify === false) {
      const backends = this.backends.filter(({ address }) => address.tls).map(({ url }) => url);
      this.#log.warn({ route: name, backends }, "TLS: the backends' certificates are not verified");
    }
  }

  /**
   * The backend for the next attempt of a client's request, none of those tried; undefined when there is none.
   *
   * Backups come in when no other is available. When failures have taken all of them out, they are tried all
   * the same: the worst that can come of it is the 502 that would be sent anyway. What an active check found
   * unhealthy stays out.
   */
  choose(clientAddress: string, tried: readonly Backend[]): Backend | undefined {
    const pick = () => this.#primaries(clientAddress, tried) ?? this.#backups(clientAddress, tried);
    const chosen = pick();
    if (chosen !== undefined || this.backends.some(({ isAvailable }) => isAvailable)) return chosen;
    for (const { passive } of this.backends) passive.letTry();
    return pick();
  }

  /** Notes that a backend has answered. */
  succeeded(backend: Backend): void {
    if (backend.passive.succeeded())
      this.#log.info({ route: this.#name, backend: backend.url }, "backend is back");
  }

  /** Notes that a backend has failed a request. The only one of a group is never taken out. */
  failed(backend: Backend, reason: string): void {
    if (this.backends.length === 1 || !backend.passive.failed()) return;
    this.#log.warn({ route: this.#name, backend: backend.url, reason }, "backend is out");
  }

  /** No new requests will come: stops the checks, and closes connections as what is under way on them ends. */
  retire(): void {
    this.#activeHealth?.close();
    for (const backend of this.backends) backend.retire();
  }

  /** Stops the checks and closes the connections. */
  close(): void {
    this.#activeHealth?.close();
    for (const backend of this.backends) backend.close();
  }
}

/** Picks an available one of its backends; undefined when none is. */
type Pool = (key: string, tried: readonly Backend[]) => Backend | undefined;

function createPool(backends: readonly Backend[], method: BalanceMethod): Pool {
  const balance: Balance<Backend> = createBalance(method);
  const [only] = backends;
  // Most are of one, or of none, and are asked for each request.
  if (backends.length <= 1)
    return (_key, tried) => (only?.isAvailable && !tried.includes(only) ? only : undefined);
  return (key, tried) => {
    const [first, ...others] = backends.filter((backend) => backend.isAvailable && !tried.includes(backend));
    if (first === undefined) return undefined;
    return others.length === 0 ? first : balance([first, ...others], key);
  };
}
