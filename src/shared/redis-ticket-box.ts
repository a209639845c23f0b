import * as z from "zod";
import { ProxyError } from "../base/errors.ts";
import type { Issued, TicketBox } from "../pipeline/ticket-box.ts";
import { type RedisConnection, RedisFault, type RedisReply } from "./redis-connection.ts";
import { ticketKey, waitingTicketsKey } from "./redis-key.ts";
import { PUT_TICKET, TAKE_TICKET } from "./redis-scripts.ts";

const issuedSchema = z.object({
  path: z.string(),
  expiresAt: z.number(),
  principal: z.object({
    app: z.string().optional(),
    key: z.string(),
    fields: z.array(z.tuple([z.string(), z.string()])),
    expiresAt: z.number().optional(),
  }),
});

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
    const reply = await known(this.#connection.run(PUT_TICKET, keys, args));
    return reply === null ? undefined : Number(reply);
  }

  async take(hash: string): Promise<Issued | undefined> {
    const own = await this.#own.take(hash);
    if (own !== undefined) return own;
    const keys = [ticketKey(this.#prefix, this.#route, hash), waitingTicketsKey(this.#prefix, this.#route)];
    const reply = await known(this.#connection.run(TAKE_TICKET, keys, [hash]));
    return reply === null ? undefined : issuedFrom(String(reply));
  }
}

async function known(reply: Promise<RedisReply>): Promise<RedisReply> {
  try {
    return await reply;
  } catch (error) {
    if (!(error instanceof RedisFault)) throw error;
    throw new ProxyError("replay_unknown", "redis is away", { cause: error });
  }
}

/** Undefined for what another version wrote and this one does not know. */
function issuedFrom(text: string): Issued | undefined {
  const { data } = issuedSchema.safeParse(JSON.parse(text));
  if (data === undefined) return undefined;
  const { app, key, fields, expiresAt } = data.principal;
  return { path: data.path, expiresAt: data.expiresAt, principal: { app, key, fields, expiresAt } };
}
