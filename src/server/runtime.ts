import { createTrust, type Trust } from "../base/address.ts";
import type { Config } from "../config/server-schema.ts";
import type { Log } from "../observe/log.ts";
import { createCors } from "../pipeline/cors.ts";
import type { Route } from "../pipeline/route.ts";
import { createStages } from "../pipeline/stages.ts";
import { createRouter, type Router } from "../routing/router.ts";
import type { Relay } from "../stream/relay.ts";
import { Upstream } from "../upstream/upstream.ts";

/** A route with the place its requests go to. */
export interface RuntimeRoute extends Route {
  readonly upstream: Upstream;
}

/** A configuration, compiled: what the request path works with. It never changes; a new one replaces it. */
export interface Runtime {
  readonly router: Router<RuntimeRoute>;
  readonly trust: Trust;
  readonly maxHeaderFields: number;
  readonly log: Log;
  /** The streams under way. */
  readonly relays: Set<Relay>;
  /** Closes the connections to backends. */
  close(): void;
}

/** Compiles a validated configuration. */
export function createRuntime({ server, routes }: Config, log: Log): Runtime {
  const compiled = routes.map((config): RuntimeRoute => {
    const cors = config.cors === false ? undefined : createCors(config.cors);
    return {
      config,
      cors,
      auth: undefined,
      stages: createStages(cors),
      upstream: new Upstream(config.upstream, { name: config.name, log }),
    };
  });
  return {
    router: createRouter(
      compiled.map((route) => ({ match: route.config.match, value: route, name: route.config.name })),
    ),
    trust: createTrust(server.trustedProxies),
    maxHeaderFields: server.limits.headers,
    log,
    relays: new Set(),
    close: () => {
      for (const { upstream } of compiled) upstream.close();
    },
  };
}
