import type { RouteConfig } from "../config/route-schema.ts";
import type { Config } from "../config/server-schema.ts";
import type { RateLimits } from "../limits/rate-limit.ts";
import type { TokenLimits } from "../limits/token-limit.ts";
import type { Policies } from "./pipeline.ts";
import type { RuntimeRoute } from "./runtime-route.ts";

/**
 * A resource of a route, such as its pool of backends. It stays over reloads that do not change its own configuration,
 * even if they change the rest of the route.
 */
export interface RouteResource {
  /** Ends the resource when its last user has ended. No new user comes after this call. */
  retire(): void;
  /** Ends the resource and its users at once. */
  close(): void;
}

/** A compiled route, with everything that its behaviour depends on: a reload compares it to find unchanged routes. */
export interface CompiledRoute {
  readonly basis: Basis;
  readonly route: RuntimeRoute;
  readonly auth: AuthPolicies;
  readonly rates: RateLimits | undefined;
  readonly tokens: TokenLimits | undefined;
  readonly resources: readonly RouteResource[];
}

/** The authentication of a route. */
export type AuthPolicies = Pick<Policies, "auth" | "tickets">;

/** Everything that the behaviour of a route depends on. */
export interface Basis {
  readonly config: Omit<RouteConfig, "file">;
  readonly auth: AuthBasis;
}

interface AuthBasis {
  readonly auth: RouteConfig["auth"];
  readonly apps: Config["apps"];
  readonly maxBodyBytes: number;
  readonly maxParameters: number;
  /** The token that the route of `probe` asks for. */
  readonly token?: string | undefined;
}
