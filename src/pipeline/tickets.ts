import { createHash, randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import { takeParameter } from "../base/query.ts";
import type { TicketConfig } from "../config/ticket-schema.ts";
import { authFailed, type Verifier } from "./auth.ts";
import type { Exchange } from "./exchange.ts";
import { resume, takeLastEventId } from "./last-event-id.ts";
import type { Principal } from "./principal.ts";
import type { Reply } from "./reply.ts";

/** The query parameter that asks for a ticket, and carries one. */
const PARAMETER = "ticket";

interface Issued {
  readonly principal: Principal;
  readonly path: string;
  readonly expiresAt: number;
}

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
  /** By hash, so that a heap dump opens nothing. In the order of their issue, so the oldest is the first. */
  readonly #issued = new Map<string, Issued>();

  constructor(config: TicketConfig) {
    this.#config = config;
  }

  /** How many tickets wait to be used, expired ones included until the next is issued. */
  get size(): number {
    return this.#issued.size;
  }

  /** Answers a request for a ticket of a principal who was verified; undefined for any other request. */
  readonly issue = (exchange: Exchange): Reply | undefined => {
    const { request, target, principal } = exchange;
    if (!isTicketRequest(request.method ?? "", target.query) || principal === undefined) return undefined;
    const now = Date.now();
    this.#dropExpired(now);
    if (this.#issued.size >= this.#config.limit) throw this.#full(now);
    const ticket = randomBytes(32).toString("base64url");
    const lifetime = Math.min(this.#config.ttl, (principal.expiresAt ?? Number.POSITIVE_INFINITY) - now);
    this.#issued.set(hashOf(ticket), { principal, path: target.path, expiresAt: now + lifetime });
    return {
      status: 201,
      fields: [["Content-Type", "application/json"], ["Cache-Control", "no-store"], ...exchange.ownFields],
      body: JSON.stringify({ ticket, expiresIn: Math.floor(lifetime / 1000) }),
    };
  };

  /** Takes a ticket as a credential, and takes it off the query before anybody else sees it. */
  readonly verifier: Verifier = {
    name: "ticket",
    verify: async (exchange) => {
      const { request, target } = exchange;
      if (isTicketRequest(request.method ?? "", target.query)) return undefined;
      const { values, query } = takeParameter(target.query, PARAMETER);
      const [ticket, ...more] = values;
      if (ticket === undefined) return undefined;
      exchange.target = { ...target, query };
      // No await between look-up and removal: of two requests with one ticket exactly one finds it.
      const hash = hashOf(ticket);
      const issued = this.#issued.get(hash);
      this.#issued.delete(hash);
      if (more.length > 0) throw authFailed("two tickets");
      if (request.method !== "GET") throw authFailed("a ticket on another method than GET");
      if (issued === undefined) throw authFailed("unknown or used ticket");
      if (issued.expiresAt <= Date.now()) throw authFailed("expired ticket");
      if (issued.path !== target.path) throw authFailed("ticket of another path");
      // With each ticket a page makes a new EventSource, which has forgotten what the last one had seen.
      const resumed = takeLastEventId(query);
      if (resumed !== undefined) resume(exchange, resumed);
      return issued.principal;
    },
  };

  /** From the oldest on; lifetimes may be shorter than the route's, so a few expired ones may stay for it. */
  #dropExpired(now: number): void {
    for (const [hash, { expiresAt }] of this.#issued) {
      if (expiresAt > now) return;
      this.#issued.delete(hash);
    }
  }

  #full(now: number): ProxyError {
    const [oldest] = this.#issued.values();
    const seconds = Math.max(1, Math.ceil(((oldest?.expiresAt ?? now) - now) / 1000));
    return new ProxyError("rate_limited", `${this.#config.limit} tickets wait to be used`, {
      fields: [["Retry-After", String(seconds)]],
    });
  }
}

function hashOf(ticket: string): string {
  return createHash("sha256").update(ticket).digest("base64");
}
