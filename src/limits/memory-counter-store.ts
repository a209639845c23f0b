import type {
  ConnectionCount,
  CounterStore,
  SessionBounds,
  Sessions,
  StreamLimits,
  WindowConfig,
  Windows,
} from "./counter-store.ts";
import { MemoryPlaces, type PlaceCounts } from "./memory-places.ts";
import { MemorySessions } from "./memory-sessions.ts";
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
  /** By route and environment, with the number of users: a reload opens the new user before it closes the old one. */
  readonly #sessions = new Map<string, { readonly known: MemorySessions; users: number }>();

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

  /** Returns empty windows: the caller keeps them for as long as the limit is unchanged. */
  windows(_route: string, config: WindowConfig): Windows {
    return memoryWindows(config);
  }

  sessions(route: string, environment: string, bounds: SessionBounds): Sessions {
    const key = JSON.stringify([route, environment]);
    const entry = this.#sessions.get(key) ?? { known: new MemorySessions(), users: 0 };
    const { known } = entry;
    this.#sessions.set(key, entry);
    entry.users++;
    let isOpen = true;
    return {
      find: (session) => known.find(session, bounds),
      put(session, backend) {
        known.put(session, backend, bounds);
        return undefined;
      },
      close: () => {
        if (isOpen && --entry.users === 0) this.#sessions.delete(key);
        isOpen = false;
      },
    };
  }

  /** Open streams count on under new limits. */
  places(name: string, limits: StreamLimits): MemoryPlaces {
    const counts = this.#places.get(name) ?? { taken: 0, byClient: new Map<string, number>() };
    this.#places.set(name, counts);
    return new MemoryPlaces(limits, counts);
  }
}
