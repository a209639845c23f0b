import type { RouteConfig } from "../config/route-schema.ts";
import type { Auth } from "./auth.ts";
import type { Cors } from "./cors.ts";
import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";
import type { Tickets } from "./tickets.ts";

/**
 * One step of a route's pipeline: a reply ends the exchange, nothing passes it on, a ProxyError refuses it.
 */
export type Stage = (exchange: Exchange) => Reply | undefined | Promise<Reply | undefined>;

/** What a route gives an exchange: its file, and its policies compiled. */
export interface Route {
  readonly config: RouteConfig;
  /** The stage that a request asked for by X-Stage. */
  readonly stage: string;
  readonly cors: Cors | undefined;
  /** Who may use it; undefined for anybody. */
  readonly auth: Auth | undefined;
  /** Those it has given out; undefined when it gives out none. */
  readonly tickets: Tickets | undefined;
  /** In the order in which they are asked; the first reply wins. */
  readonly stages: readonly Stage[];
}
