import type { RateConfig } from "../config/limits-schema.ts";
import type { ConnectionCount, CounterStore, StreamLimits, Windows } from "./counter-store.ts";
import { MemoryPlaces, type PlaceCounts } from "./memory-places.ts";
import { MemorySignatures } from "./memory-signatures.ts";
import { MemoryTickets } from "./memory-tickets.ts";
import { memoryWindows } from "./windows.ts";

/** Counts the connections of this process. */
class MemoryConnections implements ConnectionCount {
  #open = 0;

  get own(): number {
    return this.#open;
  }

  take(): number {
    this.#open++;
    return this.#open;
  }

  release(): void {
    this.#open--;
  }
}

/** Counts in this process. */
export class MemoryCounterStore implements CounterStore {
  readonly signatures: MemorySignatures;
  readonly connections: ConnectionCount = new MemoryConnections();
  /** By name. The entry of a removed route stays, so that its open streams count if it comes back. */
  readonly #places = new Map<string, PlaceCounts>();

  constructor(maxSignatures: number) {
    this.signatures = new MemorySignatures(maxSignatures);
  }

  limitSignatures(count: number): void {
    this.signatures.maxEntries = count;
  }

  /** Returns an empty store: the caller keeps it for as long as the route's `auth` is unchanged. */
  tickets(_route: string): MemoryTickets {
    return new MemoryTickets();
  }

  /** Returns empty windows: the caller keeps them for as long as the rate is unchanged. */
  windows(_route: string, config: RateConfig): Windows {
    return memoryWindows(config);
  }

  /** Open streams count on under new limits. */
  places(name: string, limits: StreamLimits): MemoryPlaces {
    const counts = this.#places.get(name) ?? { taken: 0, byClient: new Map<string, number>() };
    this.#places.set(name, counts);
    return new MemoryPlaces(limits, counts);
  }
}
