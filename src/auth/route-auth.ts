import type { AuthConfig } from "../config/auth-schema.ts";
import type { TicketStore } from "../limits/counter-store.ts";
import type { FailedAuth } from "../limits/failed-auth.ts";
import { type AppAuthSetup, createAppVerifier } from "./app.ts";
import { createAppCodeVerifier } from "./app-code.ts";
import { type Authentication, createAuth, type Verifier } from "./auth.ts";
import type { Jwks } from "./jwks.ts";
import { createJwtVerifiers } from "./jwt.ts";
import { Tickets } from "./tickets.ts";

/** The apps, keys and counters with which the credentials of all routes are checked. */
export interface Credentials extends AppAuthSetup {
  /** Counts wrong credentials. */
  readonly failures: FailedAuth;
  /** Returns the unused tickets of a route. */
  tickets(route: string): TicketStore;
  /** Returns the keys of a place; all routes that name it share one set. */
  jwks(place: string): Jwks;
}

/** A route's `auth`, compiled. */
export interface RouteAuth {
  readonly auth: Authentication;
  /** Undefined for a route without tickets. */
  readonly tickets: Tickets | undefined;
}

/** Creates the verifiers of a route, in the order in which they are asked. */
export function createRouteAuth(route: string, config: AuthConfig, credentials: Credentials): RouteAuth {
  const { apps, jwks } = credentials;
  const tickets = config.ticket && new Tickets(config.ticket, credentials.tickets(route));
  const verifiers: readonly Verifier[] = [
    ...(config.app === undefined ? [] : [createAppVerifier(config.app, credentials)]),
    ...(config.appCode ? [createAppCodeVerifier(apps, config.app?.apps)] : []),
    ...(config.jwt === undefined ? [] : createJwtVerifiers(config.jwt, jwks(config.jwt.jwks))),
    ...(tickets === undefined ? [] : [tickets.verifier]),
  ];
  return {
    auth: createAuth(verifiers, { forward: config.forward, failures: credentials.failures }),
    tickets,
  };
}
