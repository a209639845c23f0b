import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { LimitsConfig } from "../config/limits-schema.ts";
import type { LearnConfig } from "../config/sticky-schema.ts";
import type { Principal } from "../exchange/principal.ts";

/**
 * Counts what is limited, and remembers what may be used only once and which backend has a session.
 *
 * `MemoryCounterStore` counts in this process, `PrimaryCounterStore` in the primary of all workers, and
 * `RedisCounterStore` in a Redis for all instances. With workers, a limit of 100 streams therefore means 100 streams
 * in all processes together.
 *
 * A store that cannot be reached throws `CounterStoreUnavailable`. Each user of the store decides what follows: rates
 * and connections are counted in this process alone (`withFallback`, `Capacity`), because refusing would punish
 * clients that are within their limits; a stream, a signature or a ticket is refused, because admitting it could
 * exceed a limit or accept a credential twice; sessions are remembered in this process too.
 */
export interface CounterStore {
  readonly connections: ConnectionCount;
  readonly signatures: Signatures;
  /** Sets how many signatures are remembered at most. */
  limitSignatures(count: number): void;
  /** Returns the unused tickets of a route. */
  tickets(route: string): TicketStore;
  /** Returns the windows of one limit; `route` is empty for a limit of the whole gateway. */
  windows(route: string, config: WindowConfig): Windows;
  /** Returns the sessions of a route in one of its environments; the caller closes them. */
  sessions(route: string, environment: string, bounds: SessionBounds): Sessions;
  /** Returns the places for streams of a route, or of the whole gateway if `name` is empty. */
  places(name: string, limits: StreamLimits): Places;
}

/** The process or server that counts cannot be reached, or has not answered in time. */
export class CounterStoreUnavailable extends Error {
  override readonly name = "CounterStoreUnavailable";
}

/**
 * Resolves with the store's answer about a credential that may be used only once. If the store is unavailable, rejects
 * with `replay_unknown` (503): the credential may have been used before.
 */
export async function knownUse<T>(asked: T | Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof CounterStoreUnavailable)) throw error;
    throw new ProxyError("replay_unknown", error.message, { cause: error });
  }
}

/** The open connections of clients, including those that are refused and not closed yet. */
export interface ConnectionCount {
  /** The connections of this process. */
  readonly own: number;
  /** Counts a new connection and returns how many are open: in all processes if `isLimited`, otherwise in this one. */
  take(isLimited: boolean): number | Promise<number>;
  release(): void;
}

/** How many streams may be open in all and for one client; undefined for any number. */
export type StreamLimits = Pick<LimitsConfig, "streams" | "streamsPerClient">;

/** The places that the event streams of a route, or of the gateway, occupy. */
export interface Places {
  /**
   * Takes a place for a stream of the client with this address. Throws `too_many_streams` (503) or
   * `too_many_streams_of_client` (429) if no place is free.
   */
  take(address: string): Release | Promise<Release>;
}

/** A limit of counts in windows, such as a request rate. */
export interface WindowConfig {
  /** The largest count in a window. */
  readonly requests: number;
  /** The length of a window, in ms. */
  readonly per: number;
  /** The counted thing and its keys, as a text. Two limits of a route that are equal otherwise differ in it. */
  readonly by: string;
  readonly maxKeys: number;
}

/** The count of one key in its window, after it was counted. */
export interface WindowCount {
  readonly isOver: boolean;
  readonly remaining: number;
  /** Milliseconds until the window ends and the count restarts. */
  readonly msLeft: number;
}

/** Counts by key; the window of a key begins with its first count and lasts `WindowConfig.per`. */
export interface WindowCounter {
  /** Counts one, or `amount`, also beyond the limit. */
  take(key: string, amount?: number): Promise<WindowCount>;
  /** Takes a count of one, or of `amount`, back; does nothing if the window of the key is over. */
  release(key: string, amount?: number): Promise<void>;
}

/** The windows of one limit. */
export interface Windows extends WindowCounter {
  /** Forgets the counts of this process. */
  close(): void;
}

/** The result of using a signature: first use, repeated use, or no room left to remember a new signature. */
export type SignatureUse = "new" | "seen" | "full";

/** The signatures that were used and are still valid. */
export interface Signatures {
  /**
   * Checks and remembers a signature in one step, so that only one of two simultaneous uses is `new`. Times are in ms
   * since the epoch.
   */
  useOnce(signature: Buffer, expiresAt: number, now: number): SignatureUse | Promise<SignatureUse>;
}

/** The content of a ticket. */
export interface Issued {
  readonly principal: Principal;
  readonly path: string;
  /** In ms since the epoch. */
  readonly expiresAt: number;
}

/** Unused tickets, by the hashes of their texts. */
export interface TicketStore {
  /** Keeps a ticket; if `limit` tickets are unused already, returns instead when the oldest of them expires. */
  put(hash: string, issued: Issued, limit: number): number | undefined | Promise<number | undefined>;
  /** Removes a ticket and returns it; only one of two simultaneous calls gets it. */
  take(hash: string): Issued | undefined | Promise<Issued | undefined>;
}

/** How many sessions are remembered, and for how long (ms) after their last use. */
export type SessionBounds = Pick<LearnConfig, "maxKeys" | "expires">;

/**
 * The backends of sessions (`upstream.sticky.learn`). A session is the hash of its name, and a backend an opaque name of
 * 22 characters. Both methods never reject because the store is unavailable.
 */
export interface Sessions {
  /** Returns the backend of a session, whose time then begins anew; undefined for an unknown session. */
  find(session: string): string | undefined | Promise<string | undefined>;
  /** Remembers the backend of a session; when the returned promise resolves, all processes know it. */
  put(session: string, backend: string): Promise<void> | undefined;
  /** Forgets the sessions of this process, unless another user of the same sessions is left. */
  close(): void;
}

/** The form of a backend's name in sessions. */
export const isBackendName = (name: string): boolean => /^[\w-]{22}$/.test(name);
