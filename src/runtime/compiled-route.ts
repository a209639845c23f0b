import type { RouteConfig } from "../config/route-schema.ts";
import type { Config } from "../config/server-schema.ts";
import type { RateLimits } from "../limits/rate-limit.ts";
import type { Part } from "./part.ts";
import type { Policies } from "./pipeline.ts";
import type { RuntimeRoute } from "./runtime-route.ts";

/** A route with all that its behaviour depends on, by which a reload knows that it did not change. */
export interface CompiledRoute {
  readonly basis: Basis;
  readonly route: RuntimeRoute;
  readonly auth: Credentialed;
  readonly rates: RateLimits | undefined;
  readonly parts: readonly Part[];
}

/** How a route is protected. */
export type Credentialed = Pick<Policies, "auth" | "tickets">;

export interface Basis {
  readonly config: Omit<RouteConfig, "file">;
  readonly auth: AuthBasis;
}

interface AuthBasis {
  readonly auth: RouteConfig["auth"];
  readonly apps: Config["apps"];
  readonly maxBodyBytes: number;
  readonly maxParameters: number;
  /** What the probe's own route asks for. */
  readonly token?: string | undefined;
}
