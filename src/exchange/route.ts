import type { RouteConfig } from "../config/route-schema.ts";
import type { RawFields } from "../http/fields.ts";
import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";

/**
 * One step of a route's pipeline: a reply ends the exchange, nothing passes it on, a ProxyError refuses it.
 */
export type Stage = (exchange: Exchange) => Reply | undefined | Promise<Reply | undefined>;

/** Who may use a route, compiled. */
export interface Auth {
  readonly stage: Stage;
  /** The value of WWW-Authenticate; empty for none. */
  readonly challenge: string;
  /** See `Verifier.identityFields` (auth/auth.ts); those of every verifier, because a client would pick one that is not asked. */
  readonly identityFields: readonly string[];
  /** The fields of every credential that the route takes; other spellings of them are none. */
  readonly credentialFields: readonly string[];
}

/** A route's cross-origin policy, compiled once. */
export interface Cors {
  /** Answers a preflight. What is denied gets no Access-Control-Allow-Origin, and nothing is echoed. */
  preflight(rawHeaders: RawFields): Reply;
  /** The fields of every other response of the route, errors included. */
  fields(rawHeaders: RawFields): Reply["fields"];
  allowsOrigin(origin: string): boolean;
}

/** What a route gives an exchange: its file, and its policies compiled. */
export interface Route {
  readonly config: RouteConfig;
  /** The stage that a request asked for by X-Stage. */
  readonly stage: string;
  readonly cors: Cors | undefined;
  /** Who may use it; undefined for anybody. */
  readonly auth: Auth | undefined;
  /** Those it has given out; undefined when it gives out none. */
  readonly tickets: { readonly issue: Stage } | undefined;
  /** In the order in which they are asked; the first reply wins. */
  readonly stages: readonly Stage[];
}
