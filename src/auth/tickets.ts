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

/** The query parameter that asks for a ticket, and carries one. */
const PARAMETER = "ticket";

/** Its 32 bytes in base64url. */
const TICKET = /^[\w-]{43}$/;

/** Whether a request asks for a ticket: POST with the parameter and nothing else, `?ticket` or `?ticket=`. */
export function isTicketRequest(method: string, query: string): boolean {
  return method === "POST" && (query === `?${PARAMETER}` || query === `?${PARAMETER}=`);
}

/**
 * The tickets of one route: each stands for the principal who asked for it, once, for a short time, on one path.
 *
 * Native EventSource and WebSocket can send no header, and a lasting credential in a URL would stay in the
 * logs and histories of everything on the way.
 */
export class Tickets {
  readonly #config: TicketConfig;
  /** By hash, so that a heap dump opens nothing. */
  readonly #store: TicketStore;

  constructor(config: TicketConfig, store: TicketStore) {
    this.#config = config;
    this.#store = store;
  }

  /** Answers a request for a ticket of a principal who was verified; undefined for any other request. */
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

  /** Takes a ticket as a credential, and takes it off the query before anybody else sees it. */
  readonly verifier: Verifier = {
    name: "ticket",
    isPresented: ({ request, target }) =>
      !isTicketRequest(request.method, target.query) && hasParameter(target.query, PARAMETER),
    verify: async (exchange) => {
      const { request, target } = exchange;
      const values = takeTargetParameter(exchange, PARAMETER);
      const [ticket = "", ...more] = values;
      if (!TICKET.test(ticket)) throw authFailed("no ticket of ours");
      const issued = await knownUse(this.#store.take(hashOf(ticket)));
      if (more.length > 0) throw authFailed("two tickets");
      if (request.method !== "GET") throw authFailed("a ticket on another method than GET");
      // A native EventSource comes back with the one that it has used, a whole office at once after a restart of
      // ours; and 256 bits are not guessed.
      if (issued === undefined) throw new StaleCredential("unknown or used ticket");
      if (issued.expiresAt <= Date.now()) throw new StaleCredential("expired ticket");
      if (issued.path !== target.path) throw authFailed("ticket of another path");
      // With each ticket a page makes a new EventSource, which has forgotten what the last one had seen.
      const resumed = takeLastEventId(exchange.target.query);
      if (resumed !== undefined) resume(exchange, resumed);
      return issued.principal;
    },
  };

  #full(msLeft: number): ProxyError {
    const seconds = Math.max(1, Math.ceil(msLeft / 1000));
    return new ProxyError("rate_limited", `${this.#config.limit} tickets wait to be used`, {
      fields: [["Retry-After", String(seconds)]],
    });
  }
}

function hashOf(ticket: string): string {
  return createHash("sha256").update(ticket).digest("base64");
}
