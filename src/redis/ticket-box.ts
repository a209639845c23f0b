import { ProxyError } from "../base/errors.ts";
import type { Issued, TicketBox } from "../limits/ticket-box.ts";
import { InvalidReply, type RedisConnection, RedisFault } from "./connection.ts";
import { ticketKey, waitingTicketsKey } from "./key.ts";
import { PUT_TICKET, TAKE_TICKET } from "./scripts.ts";

/**
 * One route's tickets, which open it at any instance.
 *
 * A ticket is kept in one place, so that it is used once: in Redis, or while that is away in the instance that gave
 * it out. When nobody knows whether Redis has kept or given one, the request fails.
 */
export class RedisTicketBox implements TicketBox {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #route: string;
  readonly #own: TicketBox;

  constructor(connection: RedisConnection, prefix: string, route: string, own: TicketBox) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#route = route;
    this.#own = own;
  }

  async put(hash: string, issued: Issued, limit: number): Promise<number | undefined> {
    if (!this.#connection.isReady) return this.#own.put(hash, issued, limit);
    const keys = [ticketKey(this.#prefix, this.#route, hash), waitingTicketsKey(this.#prefix, this.#route)];
    const { expiresAt } = issued;
    const now = Date.now();
    const args = [hash, JSON.stringify(issued), limit, now, expiresAt, Math.max(1, expiresAt - now)];
    return (await known(this.#connection.run(PUT_TICKET, keys, args))) ?? undefined;
  }

  async take(hash: string): Promise<Issued | undefined> {
    const own = await this.#own.take(hash);
    if (own !== undefined) return own;
    const keys = [ticketKey(this.#prefix, this.#route, hash), waitingTicketsKey(this.#prefix, this.#route)];
    const taken = this.#connection.run(TAKE_TICKET, keys, [hash]).catch((error: unknown) => {
      // It is used up, and says nothing to this version: as one that never was.
      if (error instanceof InvalidReply) return null;
      throw error;
    });
    return (await known(taken)) ?? undefined;
  }
}

async function known<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
    throw new ProxyError("replay_unknown", "redis is away", { cause: error });
  }
}
