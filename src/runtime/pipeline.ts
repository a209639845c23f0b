import { isTicketRequest } from "../auth/tickets.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Reply } from "../exchange/reply.ts";
import type { Cors, Route, Stage } from "../exchange/route.ts";
import { fieldValue } from "../http/fields.ts";
import type { RateLimits } from "../limits/rate-limit.ts";
import { createAccess } from "../policy/access.ts";
import { createCors, isPreflight } from "../policy/cors.ts";

/** The policies of a route, compiled. */
export type Policies = Pick<Route, "cors" | "auth" | "tickets"> & {
  readonly rates: RateLimits | undefined;
};

/** The stages of a route, in the order in which they are asked. */
export function createStages(
  config: RouteConfig,
  { cors, auth, rates, tickets }: Policies,
): readonly Stage[] {
  return [
    ...(cors === undefined ? [] : [preflight(config, cors)]),
    createAccess(config.access) ?? [],
    ...(auth === undefined ? [] : [auth.stage]),
    ...(rates === undefined ? [] : [rates.stage]),
    ...(tickets === undefined ? [] : [tickets.issue]),
  ].flat();
}

/** Asks the stages in turn; the first reply wins. */
export async function runStages(stages: readonly Stage[], exchange: Exchange): Promise<Reply | undefined> {
  for (const stage of stages) {
    const reply = await stage(exchange);
    if (reply !== undefined) return reply;
  }
  return undefined;
}

/** Answers a preflight itself: it never reaches a backend, which may not know OPTIONS at all. */
function preflight(config: RouteConfig, cors: Cors): Stage {
  const ticketCors = createTicketCors(config) ?? cors;
  return ({ request, target, id }) => {
    if (!isPreflight(request.method ?? "", request.rawHeaders)) return undefined;
    const wanted = fieldValue(request.rawHeaders, "access-control-request-method") ?? "";
    const policy = isTicketRequest(wanted, target.query) ? ticketCors : cors;
    const reply = policy.preflight(request.rawHeaders);
    return { ...reply, fields: [...reply.fields, ["X-Request-Id", id]] };
  };
}

/** The policy for asking for a ticket: POST is allowed there alone, whatever the route's own methods are. */
function createTicketCors({ cors, auth }: RouteConfig): Cors | undefined {
  if (typeof cors === "boolean" || auth?.ticket === undefined) return undefined;
  return createCors({ ...cors, allowMethods: [...new Set([...cors.allowMethods, "POST"])] });
}
