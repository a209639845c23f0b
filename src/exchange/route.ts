import type { RouteConfig } from "../config/route-schema.ts";
import type { RawFields } from "../http/fields.ts";

/** Who may use a route, compiled. */
export interface Auth {
  /** The value of WWW-Authenticate; empty for none. */
  readonly challenge: string;
  /** See `Verifier.identityFields` (auth/auth.ts); those of every verifier, because a client would pick one that is not asked. */
  readonly identityFields: readonly string[];
  /** The fields of every credential that the route takes; other spellings of them are none. */
  readonly credentialFields: readonly string[];
}

/** A route's cross-origin policy, compiled once. */
export interface Cors {
  /** The fields of every other response of the route, errors included. */
  fields(rawHeaders: RawFields): readonly (readonly [name: string, value: string])[];
  allowsOrigin(origin: string): boolean;
}

/** What a route gives an exchange: its file, and its policies compiled. */
export interface Route {
  readonly config: RouteConfig;
  /** The environment that the request asked for by X-Stage. */
  readonly environment: string;
  readonly cors: Cors | undefined;
  /** Who may use it; undefined for anybody. */
  readonly auth: Auth | undefined;
}
