import type { RateConfig } from "../config/limits-schema.ts";
import { RateLimit } from "./rate-limit.ts";
import { type ReplayGuard, SeenSignatures } from "./seen-signatures.ts";
import {
  createStreamLimit,
  type LocalStreamLimit,
  type StreamLimit,
  type StreamLimits,
} from "./stream-limit.ts";
import { MemoryTicketBox, type TicketBox } from "./ticket-box.ts";

/** The connections of clients that are open, those that were refused and are not closed yet included. */
export interface ConnectionCount {
  /** Those of this process. */
  readonly own: number;
  /** Counts a new one; how many there are with it, over all processes where a limit is to hold for all. */
  enter(isLimited: boolean): number | Promise<number>;
  leave(): void;
}

/** One that counts in this process. */
class LocalConnections implements ConnectionCount {
  #open = 0;

  get own(): number {
    return this.#open;
  }

  enter(): number {
    this.#open++;
    return this.#open;
  }

  leave(): void {
    this.#open--;
  }
}

/**
 * Where requests are counted and what they used is remembered.
 *
 * A gateway in one process has its own. Workers have the primary's: a limit of 100 streams is one of 100,
 * however many processes there are, and a signature that one of them has seen is used up for all.
 */
export interface Counters {
  readonly seen: ReplayGuard;
  readonly connections: ConnectionCount;
  /** How many signatures are remembered at most. */
  limitSignatures(count: number): void;
  /** A route's tickets. */
  tickets(route: string): TicketBox;
  /** One rate of a route. */
  rate(route: string, config: RateConfig): RateLimit;
  /** The streams of a place, a route's name or the gateway itself; what is open counts on under new limits. */
  streams(place: string, limits: StreamLimits): StreamLimit | undefined;
}

/** Counts in this process. */
export class LocalCounters implements Counters {
  readonly seen: SeenSignatures;
  readonly connections: ConnectionCount = new LocalConnections();
  /** By place. A route that is gone leaves an entry, so that its streams count if it comes back. */
  readonly #streams = new Map<string, LocalStreamLimit>();

  constructor(maxSignatures: number) {
    this.seen = new SeenSignatures(maxSignatures);
  }

  limitSignatures(count: number): void {
    this.seen.maxEntries = count;
  }

  tickets(_route: string): TicketBox {
    return new MemoryTicketBox();
  }

  rate(_route: string, config: RateConfig): RateLimit {
    return new RateLimit(config);
  }

  streams(place: string, limits: StreamLimits): LocalStreamLimit | undefined {
    const limit = createStreamLimit(limits, this.#streams.get(place));
    if (limit !== undefined) this.#streams.set(place, limit);
    return limit;
  }
}
