import { createTrust, type Trust } from "../base/address.ts";
import type { Config } from "../config/server-schema.ts";
import { DEFAULT_STAGE } from "../config/stages-schema.ts";
import type { Log } from "../observe/log.ts";
import { createCors } from "../pipeline/cors.ts";
import { JwksSets } from "../pipeline/jwks-sets.ts";
import { createRateLimits } from "../pipeline/rate-limit.ts";
import { createRouteAuth } from "../pipeline/route-auth.ts";
import { SeenSignatures } from "../pipeline/seen-signatures.ts";
import { createStages } from "../pipeline/stages.ts";
import { createStreamLimit } from "../pipeline/stream-limit.ts";
import { createRouter, type Router } from "../routing/router.ts";
import type { Relay } from "../stream/relay.ts";
import { createRuntimeRoute, type RuntimeRoute, upstreamsOf } from "./runtime-route.ts";

/** A configuration, compiled: what the request path works with. It never changes; a new one replaces it. */
export interface Runtime {
  readonly router: Router<RuntimeRoute>;
  readonly trust: Trust;
  readonly maxHeaderFields: number;
  readonly log: Log;
  /** The streams under way. */
  readonly relays: Set<Relay>;
  /** Gets what has to be there before the first request; rejects with a ConfigError that names its place. */
  start(): Promise<void>;
  /** Closes the connections to backends, and what was started. */
  close(): void;
}

/** A route without `auth`. */
const OPEN = { auth: undefined, tickets: undefined };

/** Compiles a validated configuration. */
export function createRuntime({ server, routes, apps }: Config, log: Log): Runtime {
  const jwksSets = new JwksSets(log);
  const credentials = {
    apps,
    seen: new SeenSignatures(server.limits.signatures),
    maxBodyBytes: server.limits.bodyBytes,
    jwks: (place: string) => jwksSets.at(place),
  };
  const closers: (() => void)[] = [];
  const compiled = routes.map((config): RuntimeRoute => {
    const cors = config.cors === false ? undefined : createCors(config.cors);
    const { auth, tickets } = config.auth === undefined ? OPEN : createRouteAuth(config.auth, credentials);
    const rates = createRateLimits(config.limits.rate);
    if (rates !== undefined) closers.push(rates.close);
    const stages = createStages(config, { cors, auth, tickets, rates });
    const streams = createStreamLimit(config.limits);
    const route = { config, stage: DEFAULT_STAGE, cors, auth, tickets, stages, streams };
    return createRuntimeRoute(route, log);
  });
  return {
    router: createRouter(
      compiled.map((route) => ({ match: route.config.match, value: route, name: route.config.name })),
    ),
    trust: createTrust(server.trustedProxies),
    maxHeaderFields: server.limits.headers,
    log,
    relays: new Set(),
    start: () => jwksSets.start(routes),
    close: () => {
      jwksSets.close();
      for (const close of closers) close();
      for (const upstream of compiled.flatMap(upstreamsOf)) upstream.close();
    },
  };
}
