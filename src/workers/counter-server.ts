import { isDeepStrictEqual } from "node:util";
import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { Config } from "../config/server-schema.ts";
import { DEFAULT_ENVIRONMENT } from "../config/stages-schema.ts";
import type { StreamLimits, WindowConfig, Windows } from "../limits/counter-store.ts";
import { MemoryCounterStore } from "../limits/memory-counter-store.ts";
import { MemorySessions } from "../limits/memory-sessions.ts";
import type { MemoryTickets } from "../limits/memory-tickets.ts";
import { tokenWindow } from "../limits/token-limit.ts";
import type { CounterCalls, NoPlace } from "./calls.ts";

/** Answers the calls of all workers from one store in the primary. */
export class CounterServer {
  readonly #store: MemoryCounterStore;
  /** By route. */
  readonly #tickets = new Map<string, MemoryTickets>();
  /** By route and limit: a limit that a reload changes starts anew. */
  readonly #windows = new Map<string, Windows>();
  /** By route and environment. */
  readonly #sessions = new Map<string, MemorySessions>();
  /** The number of open connections, by worker. */
  readonly #connections = new Map<object, number>();
  #config: Config;

  constructor(config: Config) {
    this.#config = config;
    this.#store = new MemoryCounterStore(config.server.limits.signatures);
  }

  /** Adopts a new configuration, and forgets the tickets and counts of routes that were removed or changed. */
  keep(config: Config): void {
    const before = new Map(this.#config.routes.map(({ name, auth }) => [name, auth]));
    const after = new Map(config.routes.map(({ name, auth }) => [name, auth]));
    const haveAppsChanged = !isDeepStrictEqual(this.#config.apps, config.apps);
    this.#config = config;
    this.#store.limitSignatures(config.server.limits.signatures);
    for (const name of this.#tickets.keys()) {
      // The credential for which a ticket was issued may no longer be valid.
      const isKept = after.has(name) && isDeepStrictEqual(before.get(name), after.get(name));
      if (!isKept || haveAppsChanged) this.#tickets.delete(name);
    }
    const learning = new Set(config.routes.flatMap(learningKeys));
    for (const key of this.#sessions.keys()) if (!learning.has(key)) this.#sessions.delete(key);
    const kept = new Set(
      config.routes.flatMap(({ name, limits }) =>
        [...limits.rate, ...limits.tokens.map(tokenWindow)].map((limit) => keyOf(name, limit)),
      ),
    );
    const { failedAuth } = config.server.limits;
    if (failedAuth !== undefined) kept.add(keyOf("", failedAuth));
    for (const [key, windows] of this.#windows) {
      if (kept.has(key)) continue;
      windows.close();
      this.#windows.delete(key);
    }
  }

  /** Returns the answers to the calls of one worker, and a function that releases all that the worker holds. */
  serve(): { readonly answers: CounterCalls; readonly release: Release } {
    const places = new Map<number, Release>();
    const answers: CounterCalls = {
      countConnections: (open) => this.#countConnections(places, open),
      admit: ({ signature, expiresAt, now }) =>
        this.#store.signatures.useOnce(Buffer.from(signature), expiresAt, now),
      putTicket: ({ route, hash, issued, limit }) => this.#ticketsOf(route).put(hash, issued, limit),
      takeTicket: ({ route, hash }) => this.#tickets.get(route)?.take(hash),
      countRequest: ({ route, config, key, amount }) => this.#windowsOf(route, config).take(key, amount),
      uncountRequest: ({ route, config, key, amount }) => this.#windowsOf(route, config).release(key, amount),
      findSession: ({ route, environment, bounds, session }) =>
        this.#sessionsOf(route, environment).find(session, bounds),
      putSession: ({ route, environment, bounds, session, backend }) =>
        this.#sessionsOf(route, environment).put(session, backend, bounds),
      enterStream: ({ id, place, limits, address }) =>
        this.#takePlace(place, limits, address, (release) => {
          // If a worker uses a number twice, its first place must not stay taken.
          places.get(id)?.();
          places.set(id, release);
        }),
      leaveStream: (id) => {
        places.get(id)?.();
        places.delete(id);
      },
    };
    const release = () => {
      for (const releasePlace of places.values()) releasePlace();
      places.clear();
      this.#connections.delete(places);
    };
    return { answers, release };
  }

  #countConnections(worker: object, open: number): number {
    this.#connections.set(worker, open);
    let sum = 0;
    for (const count of this.#connections.values()) sum += count;
    return sum;
  }

  #takePlace(
    name: string,
    limits: StreamLimits,
    address: string,
    onPlace: (release: Release) => void,
  ): NoPlace | undefined {
    try {
      onPlace(this.#store.places(name, limits).take(address));
      return undefined;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      return { code: error.code, detail: error.message, fields: error.fields };
    }
  }

  #ticketsOf(route: string): MemoryTickets {
    const tickets = this.#tickets.get(route) ?? this.#store.tickets(route);
    this.#tickets.set(route, tickets);
    return tickets;
  }

  #sessionsOf(route: string, environment: string): MemorySessions {
    const key = JSON.stringify([route, environment]);
    const sessions = this.#sessions.get(key) ?? new MemorySessions();
    this.#sessions.set(key, sessions);
    return sessions;
  }

  #windowsOf(route: string, config: WindowConfig): Windows {
    const key = keyOf(route, config);
    const windows = this.#windows.get(key) ?? this.#store.windows(route, config);
    this.#windows.set(key, windows);
    return windows;
  }
}

function keyOf(route: string, { requests, per, by, maxKeys }: WindowConfig): string {
  return JSON.stringify([route, requests, per, by, maxKeys]);
}

/** Returns the keys of a route's sessions, one for each environment with `sticky.learn`. */
function learningKeys({ name, upstream, stages }: RouteConfig): string[] {
  const environments = [[DEFAULT_ENVIRONMENT, { upstream }] as const, ...Object.entries(stages)];
  return environments
    .filter(([, own]) => own.upstream?.sticky?.learn !== undefined)
    .map(([environment]) => JSON.stringify([name, environment]));
}
