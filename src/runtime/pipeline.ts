import type { Authentication } from "../auth/auth.ts";
import { isTicketRequest, type Tickets } from "../auth/tickets.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Reply } from "../exchange/reply.ts";
import type { Step } from "../exchange/step.ts";
import { fieldValue } from "../http/fields.ts";
import type { RateLimits } from "../limits/rate-limit.ts";
import type { TokenLimits } from "../limits/token-limit.ts";
import { createAccess } from "../policy/access.ts";
import { type CorsPolicy, createCors, isPreflight } from "../policy/cors.ts";

/** The compiled policies of a route. */
export interface Policies {
  readonly cors: CorsPolicy | undefined;
  readonly auth: Authentication | undefined;
  readonly tickets: Tickets | undefined;
  readonly rates: RateLimits | undefined;
  readonly tokens: TokenLimits | undefined;
}

/** Returns the steps of a route in the order in which they run. */
export function createSteps(
  config: RouteConfig,
  { cors, auth, rates, tokens, tickets }: Policies,
): readonly Step[] {
  return [
    ...(cors === undefined ? [] : [preflight(config, cors)]),
    createAccess(config.access) ?? [],
    ...(auth === undefined ? [] : [auth.step]),
    ...(rates === undefined ? [] : [rates.step]),
    ...(tokens === undefined ? [] : [tokens.step]),
    ...(tickets === undefined ? [] : [tickets.issue]),
  ].flat();
}

/** Runs the steps in turn until one of them replies. */
export async function runSteps(steps: readonly Step[], exchange: Exchange): Promise<Reply | undefined> {
  for (const step of steps) {
    const reply = await step(exchange);
    if (reply !== undefined) return reply;
  }
  return undefined;
}

/** Returns the step that answers preflights. They never reach a backend, which may not support OPTIONS. */
function preflight(config: RouteConfig, cors: CorsPolicy): Step {
  const ticketCors = createTicketCors(config) ?? cors;
  return ({ request, target, id, account }) => {
    if (!isPreflight(request.method ?? "", request.rawHeaders)) return undefined;
    const wanted = fieldValue(request.rawHeaders, "access-control-request-method") ?? "";
    const policy = isTicketRequest(wanted, target.query) ? ticketCors : cors;
    const { refused, ...reply } = policy.preflight(request.rawHeaders);
    account.refusedPreflight(refused);
    return { ...reply, fields: [...reply.fields, ["X-Request-Id", id]] };
  };
}

/** Returns the policy for ticket requests: POST is allowed for them, whatever the methods of the route are. */
function createTicketCors({ cors, auth }: RouteConfig): CorsPolicy | undefined {
  if (typeof cors === "boolean" || auth?.ticket === undefined) return undefined;
  return createCors({ ...cors, allowMethods: [...new Set([...cors.allowMethods, "POST"])] });
}
