import { pathDecoded } from "./percent-encoding.ts";

/** Normalises and refuses paths, of requests and of route files by the same rules. */

/**
 * Returns the form of a path that routes are matched with: percent-decoded, except `%2F` and `%25`, and with adjacent
 * slashes merged, as nginx does (`merge_slashes on`).
 *
 * A backend decodes `/%61dmin`, and many merge the slashes of `//admin`, so neither may bypass a route for `/admin`.
 * `%2F` stays, because an encoded slash separates no segments; `%25` stays, because `%252F` would become `%2F`.
 */
export function routingPath(path: string): string {
  return pathDecoded(path.includes("//") ? path.replace(/\/{2,}/g, "/") : path);
}

/**
 * `..;x` is a dot segment for servers with path parameters, `..%2f` for servers that decode first. One expression for
 * the whole path: splitting 16 KiB of slashes into segments takes a millisecond.
 */
const DOT_SEGMENT = /(?:^|\/|%2f)(?:\.|%2e){1,2}(?:;|\/|%2f|$)/i;

/** Returns why a path is refused, because two servers could read it in two ways; undefined if it is not. */
export function pathFault(path: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(path)) return "invalid percent-encoding";
  if (/\\|%5c/i.test(path)) return "a backslash";
  if (/%00/.test(path)) return "a NUL";
  return DOT_SEGMENT.test(path) ? "a dot segment" : undefined;
}
