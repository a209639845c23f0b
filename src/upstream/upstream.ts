import { createSigningKey, type SigningKey } from "../auth/sign-request.ts";
import type { ProxyError } from "../base/errors.ts";
import type { StickyConfig } from "../config/sticky-schema.ts";
import type { UpstreamConfig } from "../config/upstream-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Log } from "../observe/log.ts";
import { ActiveHealth } from "./active-health.ts";
import { Backend } from "./backend.ts";
import { type Balance, createBalance } from "./balance.ts";
import { createHashKey, type HashKey } from "./hash-key.ts";
import { LearnedSessions } from "./learned-sessions.ts";
import { createLookup } from "./lookup.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { Sticky } from "./sticky.ts";
import { StickyCookie } from "./sticky-cookie.ts";
import type { UpstreamOwner } from "./upstream-owner.ts";

/** How long, in ms, a backend may take to accept the connection and, after the request, to send the response head. */
export interface Timeouts {
  readonly connectTimeout: number;
  readonly responseHeaderTimeout: number;
}

/** A group of backends for the requests of a route. */
export class Upstream {
  readonly backends: readonly Backend[];
  readonly timeouts: Timeouts;
  readonly retries: number;
  /** How long, in ms, an idle connection may be used again; undefined if each request has a connection of its own. */
  readonly keepAliveMs: number | undefined;
  readonly preservesHost: boolean;
  /** Whether the backends are asked for no compression, whatever the client accepts. */
  readonly asksForIdentity: boolean;
  /** Signs the requests to the backends; undefined if they are not signed. */
  readonly signingKey: SigningKey | undefined;
  /** Marks the requests to the backends, to recognize one that comes back. */
  readonly loops: LoopGuard;
  /** Keeps clients or sessions at their backends; undefined if each request is balanced by itself. */
  readonly sticky: Sticky | undefined;
  readonly #primaries: Balance<Backend>;
  readonly #backups: Balance<Backend>;
  readonly #keyOf: HashKey;
  readonly #name: string;
  readonly #log: Log;
  readonly #activeHealth: ActiveHealth | undefined;

  constructor(config: UpstreamConfig, owner: UpstreamOwner) {
    const { name, log, loops } = owner;
    const lookup = createLookup();
    this.backends = config.backends.map((backend) => new Backend(backend, config, lookup));
    this.timeouts = config;
    this.retries = config.retries;
    this.keepAliveMs = config.keepAlive;
    this.preservesHost = config.hostHeader === "preserve";
    this.asksForIdentity = config.acceptEncoding === "identity";
    this.loops = loops;
    this.signingKey = config.sign && createSigningKey(config.sign);
    const { method } = config.balance;
    this.#primaries = createBalance(
      this.backends.filter(({ isBackup }) => !isBackup),
      method,
    );
    this.#backups = createBalance(
      this.backends.filter(({ isBackup }) => isBackup),
      method,
    );
    this.#keyOf = createHashKey(config.balance);
    this.sticky = createSticky(this.backends, config.sticky, owner);
    this.#name = name;
    // Not a child logger: it would keep its level when a reload changes the level of the log.
    this.#log = log;
    if (config.healthCheck !== undefined) {
      this.#activeHealth = new ActiveHealth(this.backends, config.healthCheck, owner);
    }
    if (config.tls?.verify === false) {
      const backends = this.backends.filter(({ address }) => address.tls).map(({ url }) => url);
      this.#log.warn({ route: name, backends }, "TLS: the backends' certificates are not verified");
    }
  }

  /**
   * Returns the backend for the next attempt of a client's request, except those tried; undefined if there is none.
   * `home`, the backend to which the request belongs, comes first, also if it is a backup.
   *
   * Backups are used if no other backend is available. If failures have taken out all backends, they are tried all the
   * same: at worst the client gets the 502 that it would get anyway. A backend that an active check found unhealthy is
   * not used.
   */
  choose(exchange: Exchange, tried: readonly Backend[], home?: Backend): Backend | undefined {
    const chosen = this.#pick(exchange, tried, home);
    if (chosen !== undefined || this.backends.some(({ isAvailable }) => isAvailable)) return chosen;
    for (const { passive } of this.backends) passive.letTry();
    return this.#pick(exchange, tried, home);
  }

  #pick(exchange: Exchange, tried: readonly Backend[], home: Backend | undefined): Backend | undefined {
    if (home?.isAvailable && !tried.includes(home)) return home;
    const key = this.#keyOf(exchange);
    return this.#primaries(tried, key) ?? this.#backups(tried, key);
  }

  /** Notes that a backend has responded. */
  succeeded(backend: Backend): void {
    backend.record.answered();
    if (backend.passive.succeeded()) this.#log.info(this.#factsOf(backend), "backend is back");
  }

  /** Notes that a backend has failed a request. The only backend of an upstream is never taken out. */
  failed(backend: Backend, { code, message }: Pick<ProxyError, "code" | "message">): void {
    backend.record.count(code);
    backend.record.fails(message);
    if (this.backends.length === 1 || !backend.passive.failed()) return;
    this.#log.warn({ ...this.#factsOf(backend), reason: message }, "backend is out");
  }

  #factsOf({ url }: Backend) {
    return { route: this.#name, backend: url };
  }

  /** Stops the checks, and closes each connection when the request on it has ended. No new requests should come. */
  retire(): void {
    this.#activeHealth?.close();
    this.sticky?.close();
    for (const backend of this.backends) backend.retire();
  }

  /** Stops the checks and closes the connections. */
  close(): void {
    this.#activeHealth?.close();
    this.sticky?.close();
    for (const backend of this.backends) backend.close();
  }
}

function createSticky(
  backends: readonly Backend[],
  { cookie, learn }: Partial<StickyConfig> = {},
  { name, environment, counters }: UpstreamOwner,
): Sticky | undefined {
  if (cookie !== undefined) return new StickyCookie(backends, cookie);
  return learn && new LearnedSessions(backends, learn, counters.sessions(name, environment, learn));
}
