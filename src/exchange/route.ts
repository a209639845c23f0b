import type { RouteConfig } from "../config/route-schema.ts";
import type { RawFields } from "../http/fields.ts";

/** The authentication of a route, compiled. */
export interface Auth {
  /** The value of WWW-Authenticate; empty if there is none to send. */
  readonly challenge: string;
  /** The fields of every verifier (`Verifier.identityFields` in auth/auth.ts): a client could forge those of an unused one. */
  readonly identityFields: readonly string[];
  /** The fields of every credential that the route accepts; other spellings of them are not accepted. */
  readonly credentialFields: readonly string[];
}

/** A route's cross-origin policy, compiled once. */
export interface Cors {
  /** Returns the fields of every response of the route but preflights, errors included. */
  fields(rawHeaders: RawFields): readonly (readonly [name: string, value: string])[];
  allowsOrigin(origin: string): boolean;
}

/** A route as exchanges use it: its configuration and its compiled policies. */
export interface Route {
  readonly config: RouteConfig;
  /** The environment that X-Stage has chosen. */
  readonly environment: string;
  readonly cors: Cors | undefined;
  /** Undefined for a route that is open to all clients. */
  readonly auth: Auth | undefined;
}
