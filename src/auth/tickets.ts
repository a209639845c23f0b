import { createHash, randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { TicketConfig } from "../config/ticket-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { resume, takeLastEventId } from "../exchange/last-event-id.ts";
import type { Reply } from "../exchange/reply.ts";
import { takeTargetParameter } from "../exchange/take-parameter.ts";
import { hasParameter } from "../http/query.ts";
import { knownUse, type TicketStore } from "../limits/counter-store.ts";
import { authFailed, StaleCredential, type Verifier } from "./auth.ts";

/** The query parameter that requests a ticket, and that carries one. */
const PARAMETER = "ticket";

/** 32 bytes in base64url. */
const TICKET = /^[\w-]{43}$/;

/** Whether a request asks for a ticket: POST with exactly the query `?ticket` or `?ticket=`. */
export function isTicketRequest(method: string, query: string): boolean {
  return method === "POST" && (query === `?${PARAMETER}` || query === `?${PARAMETER}=`);
}

/**
 * The tickets of one route. Each is valid for the principal that requested it, once, for a short time, on one
 * path.
 *
 * A native EventSource or WebSocket cannot send a credential in a header field, and a lasting credential in a
 * URL would stay in logs and histories along the way.
 */
export class Tickets {
  readonly #config: TicketConfig;
  /** Contains hashes of tickets, so that a heap dump reveals no valid ticket. */
  readonly #store: TicketStore;

  constructor(config: TicketConfig, store: TicketStore) {
    this.#config = config;
    this.#store = store;
  }

  /** Issues a ticket to a verified principal that requests one; returns undefined for any other request. */
  readonly issue = async (exchange: Exchange): Promise<Reply | undefined> => {
    const { request, target, principal } = exchange;
    if (!isTicketRequest(request.method, target.query) || principal === undefined) return undefined;
    const now = Date.now();
    const ticket = randomBytes(32).toString("base64url");
    const lifetime = Math.min(this.#config.ttl, (principal.expiresAt ?? Number.POSITIVE_INFINITY) - now);
    const issued = { principal, path: target.path, expiresAt: now + lifetime };
    const freeAt = await knownUse(this.#store.put(hashOf(ticket), issued, this.#config.limit));
    if (freeAt !== undefined) throw this.#full(freeAt - now);
    return {
      status: 201,
      fields: [["Content-Type", "application/json"], ["Cache-Control", "no-store"], ...exchange.ownFields],
      body: JSON.stringify({ ticket, expiresIn: Math.floor(lifetime / 1000) }),
    };
  };

  /** Accepts a ticket as a credential, and removes it from the query before any other component sees it. */
  readonly verifier: Verifier = {
    name: "ticket",
    isPresented: ({ request, target }) =>
      !isTicketRequest(request.method, target.query) && hasParameter(target.query, PARAMETER),
    verify: async (exchange) => {
      const { request, target } = exchange;
      const [ticket = "", ...more] = takeTargetParameter(exchange, PARAMETER);
      if (!TICKET.test(ticket)) throw authFailed("malformed ticket");
      const issued = await knownUse(this.#store.take(hashOf(ticket)));
      if (more.length > 0) throw authFailed("more than one ticket");
      if (request.method !== "GET") throw authFailed("ticket with a method other than GET");
      // Not counted as a failure. A native EventSource reconnects with the ticket that it has used, possibly
      // all clients of one office at once after a restart; and 256 bits cannot be guessed.
      if (issued === undefined) throw new StaleCredential("unknown or used ticket");
      if (issued.expiresAt <= Date.now()) throw new StaleCredential("expired ticket");
      if (issued.path !== target.path) throw authFailed("ticket for another path");
      // A page opens a new EventSource for each ticket; it does not know the last event id of the previous EventSource.
      const resumed = takeLastEventId(exchange.target.query);
      if (resumed !== undefined) resume(exchange, resumed);
      return issued.principal;
    },
  };

  #full(msLeft: number): ProxyError {
    const seconds = Math.max(1, Math.ceil(msLeft / 1000));
    return new ProxyError("rate_limited", `${this.#config.limit} tickets are unused`, {
      fields: [["Retry-After", String(seconds)]],
    });
  }
}

function hashOf(ticket: string): string {
  return createHash("sha256").update(ticket).digest("base64");
}
