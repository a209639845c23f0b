import type { CookieRewrite, RewriteConfig } from "../config/rewrite-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { strippedPrefix, withoutPrefix } from "./path-rewrite.ts";

/** Name, value and the spaces behind it of an attribute of Set-Cookie. */
const ATTRIBUTE = /^(\s*(domain|path)\s*=\s*)(\S.*)$/is;

/**
 * Returns a Set-Cookie value with Domain and Path as `rewrite.cookies` says; the rest stays byte for byte.
 *
 * As browsers do (RFC 6265 section 5.2), ends each attribute at the next semicolon, also within quotes.
 */
export function clientCookie(cookie: string, exchange: Exchange, rewrite: RewriteConfig): string {
  const { domain, path } = rewrite.cookies;
  const [pair = "", ...attributes] = cookie.split(";");
  // A browser refuses a __Host- cookie with another path than `/`.
  const isOfHost = /^\s*__host-/i.test(pair);
  const kept = attributes.flatMap((attribute) => {
    const [, before = "", name = "", text = ""] = ATTRIBUTE.exec(attribute) ?? [];
    const value = text.trimEnd();
    if (name.toLowerCase() === "domain" && domain !== undefined) {
      const wanted = newDomain(value, domain);
      return wanted === "remove" ? [] : before + wanted;
    }
    if (name.toLowerCase() !== "path" || path === undefined || isOfHost || !value.startsWith("/"))
      return attribute;
    return before + (path === "auto" ? pathForClient(value, exchange, rewrite) : replacedPath(value, path));
  });
  return [pair, ...kept].join(";");
}

function newDomain(value: string, domain: NonNullable<CookieRewrite["domain"]>): string {
  if (typeof domain === "string") return domain;
  // RFC 6265 section 5.2.3: a leading dot has no meaning.
  const plain = (name: string) => name.toLowerCase().replace(/^\./, "");
  return Object.entries(domain).find(([from]) => plain(from) === plain(value))?.[1] ?? value;
}

function replacedPath(value: string, paths: Readonly<Record<string, string>>): string {
  for (const [from, to] of Object.entries(paths)) {
    const rest = withoutPrefix(value, withoutFinalSlashes(from));
    if (rest !== undefined) return joined(withoutFinalSlashes(to), rest);
  }
  return value;
}

/**
 * Returns the path by which the client reaches a path of the backend, behind the prefixes that were removed. A path
 * behind them stays: the application has read X-Forwarded-Prefix, or another gateway has added them.
 */
function pathForClient(value: string, { client, target }: Exchange, rewrite: RewriteConfig): string {
  const { addPrefix } = rewrite;
  const removed = client.forwardedPrefix + strippedPrefix(target.path, rewrite);
  if (removed !== "" && withoutPrefix(value, removed) !== undefined) return value;
  const isAbove = withoutPrefix(addPrefix, value) !== undefined;
  const rest = withoutPrefix(value, addPrefix) ?? (isAbove ? "/" : undefined);
  if (rest === undefined) return value;
  return joined(removed, rest);
}

/** A cookie for `/app` is sent to `/app` and below it, a cookie for `/app/` only below it (RFC 6265 section 5.1.4). */
const joined = (prefix: string, rest: string): string =>
  rest === "/" && prefix !== "" ? prefix : prefix + rest;
