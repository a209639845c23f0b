import { rewriteSchema } from "../../config/rewrite-schema.ts";
import type { RouteInput } from "../../config/route-schema.ts";
import { withoutFinalSlashes } from "../../http/final-slashes.ts";
import { pathOf } from "../locations.ts";
import type { Proxied, Scope } from "./scope.ts";

type UrlFields = Pick<NonNullable<RouteInput["rewrite"]>, "redirects" | "cookies">;

/** Scheme and host of a client, as nginx's variables name them. */
const OF_CLIENT = /^(?:\$scheme|https?):\/\/\$(?:http_host|host)(?::\$server_port)?(?=\/|$)/;
const HOST_VARIABLE = /^\$(?:http_host|host|server_name)$/;
/** Expressions that match each domain. */
const ANY_DOMAIN = /^~\*?\^?\.[*+]\$?$/;

/** Returns how a route rewrites redirects and cookies of its backend. */
export function urlFieldsOf(proxied: Proxied): UrlFields {
  const { scope } = proxied;
  const domain = cookieDomainOf(scope);
  const path = cookiePathOf(scope);
  const cookies = { ...(domain !== undefined && { domain }), ...(path !== undefined && { path }) };
  return {
    ...(areRedirectsOff(proxied) && { redirects: "off" as const }),
    ...(Object.keys(cookies).length > 0 && { cookies }),
  };
}

/** Whether redirects pass unchanged; notes those that nginx rewrites in another way than a route. */
function areRedirectsOff({ scope, target }: Proxied): boolean {
  const rules = scope.all("proxy_redirect");
  const backend = withoutFinalSlashes(`${target.scheme}://${target.authority}${target.uri ?? ""}`);
  const own = withoutFinalSlashes(target.uri === undefined ? "/" : pathOf(scope.location));
  for (const at of rules) {
    const [from = "", to = ""] = at.args;
    const isDefault =
      withoutFinalSlashes(from) === backend && withoutFinalSlashes(to.replace(OF_CLIENT, "")) === own;
    if (from !== "off" && from !== "default" && !isDefault)
      scope.notes.add(at, "a route rewrites redirects that name the backend, and no others");
  }
  return rules.some(({ value }) => value === "off");
}

type Domain = NonNullable<UrlFields["cookies"]>["domain"];
type Path = NonNullable<UrlFields["cookies"]>["path"];

function cookieDomainOf(scope: Scope): Domain {
  const domains: Record<string, string> = {};
  for (const at of scope.all("proxy_cookie_domain")) {
    const [from = "", to = ""] = at.args;
    if (from === "off") continue;
    const wanted = HOST_VARIABLE.test(to) ? "remove" : to;
    if (wanted !== to)
      scope.notes.add(at, "the route removes the domain: the cookie belongs to that host alone");
    if (ANY_DOMAIN.test(from) && isValid({ domain: wanted })) return wanted;
    if (isValid({ domain: { [from]: wanted } })) domains[from] ??= wanted;
    else scope.notes.add(at, "not a fixed domain; write rewrite.cookies.domain by hand");
  }
  return Object.keys(domains).length > 0 ? domains : undefined;
}

function cookiePathOf(scope: Scope): Path {
  const paths: Record<string, string> = {};
  for (const at of scope.all("proxy_cookie_path")) {
    const [from = "", to = ""] = at.args;
    if (from === "off") continue;
    if (isValid({ path: { [from]: to } })) paths[from] ??= to;
    else scope.notes.add(at, "not a fixed path; write rewrite.cookies.path by hand");
  }
  return Object.keys(paths).length > 0 ? paths : undefined;
}

const isValid = (cookies: unknown): boolean => rewriteSchema.safeParse({ cookies }).success;
