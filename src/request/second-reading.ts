import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { hostName } from "../http/request-head.ts";
import { routingPath } from "../http/routing-path.ts";
import type { Router } from "../routing/router.ts";
import type { RuntimeRoute } from "../runtime/runtime-route.ts";

/** A path parameter (RFC 3986 section 3.3), which ends with its segment. */
const PARAMETERS = /;[^/]*/g;

/**
 * Refuses a path that belongs to another route once path parameters are dropped, if that route restricts its clients.
 *
 * Tomcat and Jetty serve `/admin;a/x` as `/admin/x`; routing, as in nginx, treats the parameter as a part of the
 * segment. A path passes if both readings have the same route, or if the second route is open to all clients.
 */
export function checkSecondReading(
  exchange: Exchange,
  route: RuntimeRoute,
  router: Router<RuntimeRoute>,
): void {
  const { host, request, target } = exchange;
  if (!/;|%3b/i.test(target.path)) return;
  const path = routingPath(target.path);
  const bare = routingPath(path.replace(PARAMETERS, ""));
  const found = router.match({ host: hostName(host), path: bare, method: request.method }, exchange);
  if (found !== undefined && "ambiguity" in found) throw new ProxyError("bad_request", found.ambiguity);
  if (found === undefined || !("route" in found) || found.route === route || !isGuarded(found.route)) return;
  throw new ProxyError(
    "bad_request",
    `without its path parameters, the path belongs to the route ${found.route.config.name}`,
  );
}

/**
 * Refuses a method that belongs to another route once it is in upper case: methods are case-sensitive (RFC 9110 section
 * 9.1), but Django and Flask read `post` as POST.
 */
export function checkMethodCase(exchange: Exchange, route: RuntimeRoute, router: Router<RuntimeRoute>): void {
  const { method } = exchange.request;
  if (!/[a-z]/.test(method)) return;
  const upper = method.toUpperCase();
  const { host, target } = exchange;
  const facts = { host: hostName(host), path: routingPath(target.path), method: upper };
  const found = router.match(facts, exchange);
  if (found !== undefined && "route" in found && found.route === route) return;
  throw new ProxyError("method_not_implemented", `as ${upper}, ${method} belongs to another route`);
}

function isGuarded({ auth, config: { access } }: RuntimeRoute): boolean {
  return auth !== undefined || access.allow.length > 0 || access.deny.length > 0;
}
