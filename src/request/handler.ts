import { isTicketRequest } from "../auth/tickets.ts";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { send } from "../exchange/reply.ts";
import { readTarget, type Target } from "../exchange/target.ts";
import type { ClientRequest } from "../http/client-request.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { fieldValue, fieldValues, listItems } from "../http/fields.ts";
import { checkHead, hostName } from "../http/request-head.ts";
import { retrySoon } from "../http/retry-after.ts";
import { routingPath } from "../http/routing-path.ts";
import { isPreflight } from "../policy/cors.ts";
import type { ConditionSource } from "../routing/conditions.ts";
import type { Routed } from "../routing/router.ts";
import { runSteps } from "../runtime/pipeline.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { chooseEnvironment, type RuntimeRoute } from "../runtime/runtime-route.ts";
import { openAnswer } from "./answer.ts";
import { deliver } from "./deliver.ts";
import { answerNamed } from "./named.ts";
import { checkMethodCase, checkSecondReading } from "./second-reading.ts";
import { isShared, subscribe } from "./subscribe.ts";

/**
 * Answers one request: checks and routes it, runs the steps of its route, opens the response, then relays a stream or
 * forwards any other response. Rejects with a ProxyError, or with an error that no code expected.
 */
export async function handle(exchange: Exchange, response: ClientResponse, runtime: Runtime): Promise<void> {
  const { request } = exchange;
  if (request.method === "OPTIONS" && request.url === "*") return pong(exchange, response, runtime);
  const route = readAndRoute(exchange, runtime);
  // Even without steps, waits until the bytes after the head were parsed: a parse error refuses the request.
  const isReady = route.steps.length === 0 && request.isWhole === true;
  const reply = isReady ? undefined : await runSteps(route.steps, exchange);
  // The client may have left meanwhile.
  if (response.isClosed || response.isHeadSent) return;
  if (reply !== undefined) return send(exchange, response, reply);

  if (isLastHop(exchange)) return pong(exchange, response, runtime);

  exchange.letContinue();
  if (isShared(exchange, route)) return subscribe(exchange, response, route, runtime);
  if (route.answers !== undefined && (await answerNamed({ exchange, response, route, runtime }))) return;
  const answer = await openAnswer(exchange, response, route, runtime);
  if (answer !== undefined) deliver({ exchange, response, route, runtime }, answer);
}

/** Checks the request's head and finds its route. Throws a ProxyError. */
export function readAndRoute(exchange: Exchange, runtime: Runtime): RuntimeRoute {
  exchange.foundHost(checkHead(exchange.request, runtime.maxHeaderFields));
  exchange.foundTarget(readTarget(exchange.request.url, exchange.host));
  const route = findRoute(exchange, runtime);
  exchange.routedTo(route);
  checkSecondReading(exchange, route, runtime.router);
  checkMethodCase(exchange, route, runtime.router);
  const chosen = chooseEnvironment(route, exchange);
  exchange.routedTo(chosen);
  runtime.loops.check(exchange, runtime.config.server.limits.passes);
  // After routing, because the route knows which origins may read the refusal.
  if (exchange.isOverflow)
    throw new ProxyError("too_many_connections", "beyond limits.connections", { fields: [retrySoon()] });
  runtime.capacity.checkFiles();
  return chosen;
}

/** The facts that decide the route of a request. */
type RoutedBy = Pick<Exchange, "host" | "target"> & {
  readonly request: Pick<ClientRequest, "method" | "rawHeaders">;
};

/**
 * Whether a route takes a request: an attached gateway leaves all others to the program around it, also those with
 * another method on the path of a route.
 */
export function hasRoute(
  request: Pick<ClientRequest, "method" | "url" | "rawHeaders">,
  host: string,
  runtime: Runtime,
): boolean {
  const target = readableTarget(request.url, host);
  const found = target && matchRoute({ request, host, target }, runtime);
  // Two readings of a request's version are refused here: the program around might read the other one.
  return found !== undefined && !("allow" in found);
}

function readableTarget(url: string, host: string): Target | undefined {
  try {
    return readTarget(url, host);
  } catch (error) {
    if (error instanceof ProxyError) return undefined;
    throw error;
  }
}

/** Returns the route of a request. Throws a ProxyError. */
function findRoute(exchange: RoutedBy, runtime: Runtime): RuntimeRoute {
  const found = matchRoute(exchange, runtime);
  if (found === undefined) throw new ProxyError("no_route", "no route matches");
  if ("route" in found) return found.route;
  if ("ambiguity" in found) throw new ProxyError("bad_request", found.ambiguity);
  const allow = found.allow.join(", ");
  throw new ProxyError("method_not_allowed", `${exchange.request.method} on a route for ${allow}`, {
    fields: [["Allow", allow]],
  });
}

/** Matches a request with the routes; a preflight as the request that it announces. */
function matchRoute(exchange: RoutedBy, { router }: Runtime): Routed<RuntimeRoute> | undefined {
  const { request, host, target } = exchange;
  const { method } = request;
  const site = hostName(host);
  const path = routingPath(target.path);
  const isAsking = isPreflight(method, request.rawHeaders);
  const source = isAsking ? announcedBy(exchange) : exchange;
  const wanted = isAsking ? (fieldValue(request.rawHeaders, "access-control-request-method") ?? "") : method;
  if (isTicketRequest(wanted, target.query)) {
    // The route that the ticket is for, which may not accept POST.
    const found = router.match({ host: site, path, method: "GET" }, source);
    const issuer = found !== undefined && "route" in found ? found.route : undefined;
    if (issuer?.tickets !== undefined && (!isAsking || issuer.cors !== undefined)) return { route: issuer };
  }
  if (isAsking) {
    const found = router.match({ host: site, path, method: wanted }, source);
    if (found !== undefined && "route" in found && found.route.cors !== undefined) return found;
  }
  return router.match({ host: site, path, method }, source);
}

/** Returns a preflight as routes with conditions see it: with the fields of the request that it announces. */
function announcedBy({ request, target }: RoutedBy): ConditionSource {
  const names = listItems(fieldValues(request.rawHeaders, "access-control-request-headers"));
  return { request, target, announced: new Set(names.map((name) => name.toLowerCase())) };
}

/** Whether the client asks for this hop and not for a backend (RFC 9110 section 7.6.2). */
function isLastHop({ request }: Exchange): boolean {
  return request.method === "OPTIONS" && fieldValue(request.rawHeaders, "max-forwards") === "0";
}

/** Answers `OPTIONS *`, which asks the server as a whole, like a ping (RFC 9110 section 9.3.7). */
function pong(exchange: Exchange, response: ClientResponse, runtime: Runtime): void {
  exchange.foundHost(checkHead(exchange.request, runtime.maxHeaderFields));
  send(exchange, response, { status: 204, fields: exchange.ownFields, body: "" });
}
