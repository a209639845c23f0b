import { isDeepStrictEqual } from "node:util";
import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { RateConfig } from "../config/limits-schema.ts";
import type { Config } from "../config/server-schema.ts";
import { LocalCounters } from "../limits/counters.ts";
import type { RateLimit } from "../limits/rate-limit.ts";
import type { StreamLimits } from "../limits/stream-limit.ts";
import { MemoryTicketBox } from "../limits/ticket-box.ts";
import type { CounterCalls, NoPlace } from "./calls.ts";

/** What all workers count together, in the primary. */
export class PrimaryCounters {
  readonly #counters: LocalCounters;
  /** By route. */
  readonly #boxes = new Map<string, MemoryTicketBox>();
  /** By route and rate: one that a reload changed is another. */
  readonly #rates = new Map<string, RateLimit>();
  /** How many connections each worker has that told. */
  readonly #connections = new Map<object, number>();
  #config: Config;

  constructor(config: Config) {
    this.#config = config;
    this.#counters = new LocalCounters(config.server.limits.signatures);
  }

  /** Goes over to another configuration: what a route no longer has, or has otherwise, is forgotten. */
  keep(config: Config): void {
    const before = new Map(this.#config.routes.map(({ name, auth }) => [name, auth]));
    const after = new Map(config.routes.map(({ name, auth }) => [name, auth]));
    const haveAppsChanged = !isDeepStrictEqual(this.#config.apps, config.apps);
    this.#config = config;
    this.#counters.limitSignatures(config.server.limits.signatures);
    for (const name of this.#boxes.keys()) {
      // A ticket stands for a credential that may not be one any more.
      const isKept = after.has(name) && isDeepStrictEqual(before.get(name), after.get(name));
      if (!isKept || haveAppsChanged) this.#boxes.delete(name);
    }
    const kept = new Set(
      config.routes.flatMap(({ name, limits }) => limits.rate.map((rate) => keyOf(name, rate))),
    );
    const { failedAuth } = config.server.limits;
    if (failedAuth !== undefined) kept.add(keyOf("", failedAuth));
    for (const [key, rate] of this.#rates) {
      if (kept.has(key)) continue;
      rate.close();
      this.#rates.delete(key);
    }
  }

  /** The answers to the calls of one worker, and what gives back all that it has when it is gone. */
  serve(): { readonly answers: CounterCalls; readonly release: Release } {
    const places = new Map<number, Release>();
    const answers: CounterCalls = {
      countConnections: (open) => this.#countConnections(places, open),
      admit: ({ signature, expiresAt, now }) =>
        this.#counters.seen.admit(Buffer.from(signature), expiresAt, now),
      putTicket: ({ route, hash, issued, limit }) => this.#box(route).put(hash, issued, limit),
      takeTicket: ({ route, hash }) => this.#boxes.get(route)?.take(hash),
      countRequest: ({ route, config, key }) => this.#rate(route, config).consume(key),
      uncountRequest: ({ route, config, key }) => this.#rate(route, config).giveBack(key),
      enterStream: ({ id, place, limits, address }) =>
        this.#enter(place, limits, address, (leave) => {
          // A number that is used twice must not keep the place of the first.
          places.get(id)?.();
          places.set(id, leave);
        }),
      leaveStream: (id) => {
        places.get(id)?.();
        places.delete(id);
      },
    };
    const release = () => {
      for (const leave of places.values()) leave();
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

  #enter(
    place: string,
    limits: StreamLimits,
    address: string,
    onPlace: (leave: Release) => void,
  ): NoPlace | undefined {
    try {
      const leave = this.#counters.streams(place, limits)?.acquire(address);
      if (leave !== undefined) onPlace(leave);
      return undefined;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      return { code: error.code, detail: error.message, fields: error.fields };
    }
  }

  #box(route: string): MemoryTicketBox {
    const box = this.#boxes.get(route) ?? new MemoryTicketBox();
    this.#boxes.set(route, box);
    return box;
  }

  #rate(route: string, config: RateConfig): RateLimit {
    const key = keyOf(route, config);
    const rate = this.#rates.get(key) ?? this.#counters.rate(route, config);
    this.#rates.set(key, rate);
    return rate;
  }
}

function keyOf(route: string, { requests, per, by, maxKeys }: RateConfig): string {
  return JSON.stringify([route, requests, per, by, maxKeys]);
}
