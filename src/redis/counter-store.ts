import {
  type ConnectionCount,
  type CounterStore,
  CounterStoreUnavailable,
  type Issued,
  type Places,
  type SessionBounds,
  type Sessions,
  type Signatures,
  type SignatureUse,
  type StreamLimits,
  type TicketStore,
  type WindowConfig,
  type WindowCount,
  type WindowCounter,
  type Windows,
} from "../limits/counter-store.ts";
import { withOwnSessions } from "../limits/shared-sessions.ts";
import { BoundedWindows, MemoryWindows, windowCount, withFallback } from "../limits/windows.ts";
import type { RedisCommands } from "./commands.ts";
import { rateKey, sessionKey, signatureKey, ticketKey, waitingTicketsKey } from "./key.ts";
import { InvalidReply, RedisFault } from "./redis-fault.ts";
import { signatureReply, storedReply } from "./schemas.ts";
import { COUNT, FIND_SESSION, PUT_TICKET, TAKE_TICKET } from "./scripts.ts";

/**
 * The assumed difference between the clocks of two instances. Without it, Redis could forget a signature that an
 * instance whose clock is slow still accepts.
 */
const CLOCK_SKEW_MS = 60_000;

/**
 * Counts in Redis, for all instances: request rates, used signatures, tickets and sessions.
 *
 * Streams and connections are counted by each instance: Redis would keep the places of a killed instance for ever.
 */
export class RedisCounterStore implements CounterStore {
  readonly signatures: Signatures;
  readonly #connection: RedisCommands;
  readonly #prefix: string;
  readonly #own: CounterStore;

  /** `own` counts what the instances do not share. */
  constructor(connection: RedisCommands, prefix: string, own: CounterStore) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#own = own;
    this.signatures = {
      useOnce: (signature, expiresAt, now) => this.#useOnce(signature, expiresAt - now),
    };
  }

  get connections(): ConnectionCount {
    return this.#own.connections;
  }

  /** Limits the signatures in memory; those in Redis are bounded by its memory, and expire by themselves. */
  limitSignatures(count: number): void {
    this.#own.limitSignatures(count);
  }

  tickets(route: string): TicketStore {
    return new RedisTickets(this.#connection, this.#prefix, route, this.#own.tickets(route));
  }

  /** The sessions in Redis are bounded by its memory, and expire by themselves. */
  sessions(route: string, environment: string, bounds: SessionBounds): Sessions {
    const { expires } = bounds;
    const keyOf = (session: string) =>
      sessionKey(this.#prefix, JSON.stringify([route, environment, session]));
    const inRedis = {
      find: async (session: string) =>
        (await available(this.#connection.run(FIND_SESSION, [keyOf(session)], [expires]))) ?? undefined,
      put: async (session: string, backend: string) => {
        await available(this.#connection.ask(storedReply, "SET", [keyOf(session), backend, "PX", expires]));
      },
    };
    return withOwnSessions(inRedis, this.#own.sessions(route, environment, bounds));
  }

  places(name: string, limits: StreamLimits): Places {
    return this.#own.places(name, limits);
  }

  /** Instances whose files give a route other rates count apart. Without Redis, each instance counts for itself. */
  windows(route: string, config: WindowConfig): Windows {
    const { requests, per, by } = config;
    const key = rateKey(this.#prefix, JSON.stringify([route, requests, per, by]));
    const own = new MemoryWindows(config);
    const shared = withFallback(new RedisWindows(this.#connection, key, config), own);
    // The windows in Redis expire by themselves: a reload here must not reset what other instances have counted.
    return new BoundedWindows(config, { ...shared, forget: (name) => own.forget(name) });
  }

  #useOnce(signature: Buffer, leftMs: number): Promise<SignatureUse> {
    const keepMs = Math.max(0, Math.ceil(leftMs)) + CLOCK_SKEW_MS;
    const key = signatureKey(this.#prefix, signature);
    return available(this.#connection.ask(signatureReply, "SET", [key, "", "PX", keepMs, "NX"]));
  }
}

/**
 * The windows of one rate in Redis.
 *
 * The library's own limiter for Redis is not used: it waits for a reply without a limit.
 */
class RedisWindows implements WindowCounter {
  readonly #connection: RedisCommands;
  readonly #key: string;
  readonly #config: WindowConfig;

  constructor(connection: RedisCommands, key: string, config: WindowConfig) {
    this.#connection = connection;
    this.#key = key;
    this.#config = config;
  }

  take(key: string, amount = 1): Promise<WindowCount> {
    return this.#add(key, amount);
  }

  async release(key: string, amount = 1): Promise<void> {
    await this.#add(key, -amount);
  }

  async #add(key: string, points: number): Promise<WindowCount> {
    const args = [points, this.#config.per];
    const { count, leftMs } = await available(this.#connection.run(COUNT, [`${this.#key}:${key}`], args));
    return windowCount(this.#config, count, leftMs);
  }
}

/**
 * One route's tickets, valid at every instance.
 *
 * A ticket is kept in one place, so that it can be used only once: in Redis or, if Redis is away when it is issued, in
 * the store of the instance.
 */
class RedisTickets implements TicketStore {
  readonly #connection: RedisCommands;
  readonly #prefix: string;
  readonly #route: string;
  readonly #own: TicketStore;

  constructor(connection: RedisCommands, prefix: string, route: string, own: TicketStore) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#route = route;
    this.#own = own;
  }

  async put(hash: string, issued: Issued, limit: number): Promise<number | undefined> {
    const keys = this.#keys(hash);
    if (this.#connection.awayMs(keys[0]) > 0) return this.#own.put(hash, issued, limit);
    const { expiresAt } = issued;
    const now = Date.now();
    const args = [hash, JSON.stringify(issued), limit, now, expiresAt, Math.max(1, expiresAt - now)];
    return (await available(this.#connection.run(PUT_TICKET, keys, args))) ?? undefined;
  }

  async take(hash: string): Promise<Issued | undefined> {
    const own = await this.#own.take(hash);
    if (own !== undefined) return own;
    const taken = this.#connection.run(TAKE_TICKET, this.#keys(hash), [hash]).catch((error: unknown) => {
      // The ticket has been removed, but this version cannot read it: treated as unknown.
      if (error instanceof InvalidReply) return null;
      throw error;
    });
    return (await available(taken)) ?? undefined;
  }

  #keys(hash: string): readonly [string, string] {
    return [ticketKey(this.#prefix, this.#route, hash), waitingTicketsKey(this.#prefix, this.#route)];
  }
}

async function available<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
    throw new CounterStoreUnavailable("redis is away", { cause: error });
  }
}
