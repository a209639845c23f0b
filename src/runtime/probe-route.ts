import { isDeepStrictEqual } from "node:util";
import { bearsToken, digest } from "../auth/bearer-token.ts";
import { ProxyError } from "../base/errors.ts";
import { asksForToken } from "../config/probe-schema.ts";
import { type RouteConfig, routeSchema } from "../config/route-schema.ts";
import type { ServerConfig } from "../config/server-schema.ts";
import { DEFAULT_ENVIRONMENT } from "../config/stages-schema.ts";
import type { Step } from "../exchange/step.ts";
import type { CounterStore } from "../limits/counter-store.ts";
import { createStreamLimit } from "../limits/stream-limit.ts";
import { probeMock, readProbeQuery } from "../stream/probe-source.ts";
import type { CompiledRoute } from "./compiled-route.ts";

/** The name of the probe's route in logs and metrics; no route file can have this name. */
export const PROBE_ROUTE = "sluice.probe";

const PROBE_PATH = "/.sluice/probe";

/**
 * Creates the route of `probe: true`. sluice generates its stream and sends it through the same relay as a backend's.
 * Returns `previous` if nothing has changed, and undefined without `probe`.
 */
export function createProbeRoute(
  { probe, listen, adminToken }: Pick<ServerConfig, "probe" | "listen" | "adminToken">,
  counters: Pick<CounterStore, "places">,
  previous: CompiledRoute | undefined,
): CompiledRoute | undefined {
  if (probe === undefined) return undefined;
  const file = routeSchema.parse({
    match: { path: PROBE_PATH, methods: ["GET"] },
    mock: {},
    limits: { streams: probe.streams },
  });
  const config: RouteConfig = { ...file, name: PROBE_ROUTE };
  // Validation guarantees a token here.
  const token = asksForToken(listen) ? (adminToken ?? "") : undefined;
  const basis = { config, auth: { auth: undefined, apps: [], maxBodyBytes: 0, maxParameters: 0, token } };
  if (previous !== undefined && isDeepStrictEqual(previous.basis, basis)) return previous;
  const auth = { auth: undefined, tickets: undefined };
  const route = {
    config,
    environment: DEFAULT_ENVIRONMENT,
    cors: undefined,
    ...auth,
    steps: [...(token === undefined ? [] : [askForToken(token)]), checkQuery],
    streams: createStreamLimit(counters, config.name, config.limits),
    upstream: undefined,
    mock: probeMock,
    hub: undefined,
    answers: undefined,
    otherEnvironments: new Map(),
  };
  return { basis, route, auth, rates: undefined, tokens: undefined, resources: [] };
}

function askForToken(token: string): Step {
  const expected = digest(token);
  return ({ request }) => {
    if (bearsToken(request.rawHeaders, expected)) return undefined;
    throw new ProxyError("auth_failed", "the probe needs the admin token", {
      fields: [["WWW-Authenticate", "Bearer"]],
    });
  };
}

/** Refuses an invalid query with the reason, which contains no secret. */
const checkQuery: Step = (exchange) => {
  const script = readProbeQuery(exchange.target.query);
  if (!("problem" in script)) return undefined;
  const error = new ProxyError("bad_request", script.problem, { debugText: script.problem });
  return {
    status: error.status,
    fields: [["Content-Type", "application/json"], ...exchange.ownFields],
    body: error.body(exchange.id, { isDebugging: true }),
  };
};
