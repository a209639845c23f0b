import { isDeepStrictEqual } from "node:util";
import { type Credentials, createRouteAuth } from "../auth/route-auth.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { Config } from "../config/server-schema.ts";
import { DEFAULT_ENVIRONMENT } from "../config/stages-schema.ts";
import { createTrust, type Trust } from "../http/address.ts";
import type { WindowConfig } from "../limits/counter-store.ts";
import { createRateLimits } from "../limits/rate-limit.ts";
import { createStreamLimit } from "../limits/stream-limit.ts";
import { createTokenLimits, TOKEN_LIMIT_FIELDS } from "../limits/token-limit.ts";
import type { LimitMetrics } from "../observe/limit-metrics.ts";
import { createCors, type NeededFields } from "../policy/cors.ts";
import { createRouter, type Router } from "../routing/router.ts";
import type { AuthPolicies, Basis, CompiledRoute, RouteResource } from "./compiled-route.ts";
import { createSteps } from "./pipeline.ts";
import { createProbeRoute, PROBE_ROUTE } from "./probe-route.ts";
import {
  answersOf,
  createRuntimeRoute,
  hubsOf,
  type RouteContext,
  type RuntimeRoute,
  upstreamsOf,
} from "./runtime-route.ts";

/** A compiled configuration. It never changes; streams that began with it keep it. */
export interface Snapshot {
  readonly config: Config;
  readonly router: Router<RuntimeRoute>;
  readonly trust: Trust;
  /** The routes by name. */
  readonly routes: ReadonlyMap<string, CompiledRoute>;
  /** The resources of its routes; two snapshots share those that did not change between them. */
  readonly resources: ReadonlySet<RouteResource>;
}

/** A route without `auth`. */
const OPEN: AuthPolicies = { auth: undefined, tickets: undefined };

/** The services with which routes are compiled; they outlive the routes. */
export interface CompileContext extends RouteContext {
  readonly credentials: Credentials;
  /** Counts the decisions of limits. */
  readonly limits: LimitMetrics;
}

/** Compiles a validated configuration; unchanged routes and policies are taken from `previous`. */
export function createSnapshot(config: Config, context: CompileContext, previous?: Snapshot): Snapshot {
  const routes = new Map(
    config.routes.map((route): [string, CompiledRoute] => [
      route.name,
      compileRoute(route, context, previous?.routes.get(route.name)),
    ]),
  );
  const own = createProbeRoute(config.server, context.counters, previous?.routes.get(PROBE_ROUTE));
  // Added before the router is made, and after the configured routes, which may use its path themselves.
  if (own !== undefined) routes.set(PROBE_ROUTE, own);
  const compiled = [...routes.values()];
  const hosts = [...new Set(config.routes.flatMap(({ match }) => match.host ?? []))];
  return {
    config,
    router: createRouter(
      compiled.flatMap(({ route }) => {
        const { match, name } = route.config;
        // A host with a route for all paths would hide a route without a host.
        const places = name === PROBE_ROUTE && hosts.length > 0 ? [{ ...match, host: hosts }] : [];
        return [match, ...places].map((place) => ({ match: place, value: route, name }));
      }),
    ),
    trust: createTrust(config.server.trustedProxies),
    routes,
    resources: new Set(compiled.flatMap(({ resources }) => resources)),
  };
}

function compileRoute(
  config: RouteConfig,
  context: CompileContext,
  previous: CompiledRoute | undefined,
): CompiledRoute {
  const { credentials, counters } = context;
  const basis = basisOf(config, credentials);
  if (previous !== undefined && isDeepStrictEqual(previous.basis, basis)) return previous;
  const { auth, rates, tokens } = keptPolicies(basis, previous, context);
  const exposed = tokens === undefined ? [] : TOKEN_LIMIT_FIELDS;
  const cors = config.cors === false ? undefined : createCors(config.cors, neededFields(config), exposed);
  const steps = createSteps(config, { cors, rates, tokens, ...auth });
  // Open streams count against the new limit when a reload raises or lowers it.
  const streams = createStreamLimit(counters, config.name, config.limits);
  const policies = { config, environment: DEFAULT_ENVIRONMENT, cors, steps, streams, ...auth };
  const route = createRuntimeRoute(policies, context, previous?.route);
  const resources: RouteResource[] = [...hubsOf(route), ...answersOf(route), ...upstreamsOf(route)];
  for (const limits of [rates, tokens]) if (limits !== undefined) resources.push(limits);
  return { basis, route, auth, rates, tokens, resources };
}

/** Returns the fields with which a page names its requests and finds its answers. */
function neededFields({ resume }: RouteConfig): NeededFields | undefined {
  return resume && { allow: [resume.key], expose: ["Location", "Sluice-Resumed-From"] };
}

/** Returns the policies with a state, tickets and counts: those of `previous` unless their configuration changed. */
function keptPolicies(
  { config, auth }: Basis,
  previous: CompiledRoute | undefined,
  { credentials, counters, limits }: CompileContext,
): Pick<CompiledRoute, "auth" | "rates" | "tokens"> {
  const isAuthKept = isDeepStrictEqual(previous?.basis.auth, auth);
  const before = previous?.basis.config.limits;
  const areRatesKept = isDeepStrictEqual(before?.rate, config.limits.rate);
  const areTokensKept = isDeepStrictEqual(before?.tokens, config.limits.tokens);
  const { name } = config;
  const newAuth = () => (config.auth === undefined ? OPEN : createRouteAuth(name, config.auth, credentials));
  const windowsOf = (limit: WindowConfig) => counters.windows(name, limit);
  const countsOf = (limit: string) => limits.of(name, limit);
  return {
    auth: previous !== undefined && isAuthKept ? previous.auth : newAuth(),
    rates: areRatesKept ? previous?.rates : createRateLimits(config.limits.rate, windowsOf, countsOf),
    tokens: areTokensKept ? previous?.tokens : createTokenLimits(config.limits.tokens, windowsOf, countsOf),
  };
}

/** Returns the basis of a route. The place of its file is not part of it: it serves error messages only. */
function basisOf({ file: _, ...config }: RouteConfig, credentials: Credentials): Basis {
  const { auth } = config;
  const needsApps = auth?.app !== undefined || auth?.appCode === true;
  const { apps, maxBodyBytes, maxParameters } = needsApps ? credentials : NO_APPS;
  return { config, auth: { auth, apps, maxBodyBytes, maxParameters } };
}

/** The credentials in the basis of a route without apps. */
const NO_APPS = { apps: [], maxBodyBytes: 0, maxParameters: 0 };

/** The changes of a reload to the routes, by name; routes in no list are unchanged. */
export interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** Returns the differences between two compiled configurations. */
export function changesBetween(before: Snapshot, after: Snapshot): Changes {
  const names = [...after.routes.keys()];
  return {
    added: names.filter((name) => !before.routes.has(name)),
    changed: names.filter(
      (name) => before.routes.has(name) && before.routes.get(name) !== after.routes.get(name),
    ),
    removed: [...before.routes.keys()].filter((name) => !after.routes.has(name)),
  };
}
