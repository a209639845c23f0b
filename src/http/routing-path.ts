import { pathDecoded } from "./percent-encoding.ts";

/** The one reading of a path: requests and route files are brought into the same form and refused for the same faults. */

/**
 * The form of a path that routes are compared by: percent-encoding undone, but for `%2F` and `%25`, and slashes in
 * a row made one, as nginx does (`merge_slashes on`).
 *
 * A backend decodes `/%61dmin`, and many merge the slashes of `//admin`, so neither may slip past a route for
 * `/admin`. `%2F` stays, because an encoded slash never separates segments, and `%25`, because without it `%252F`
 * would turn into one.
 */
export function routingPath(path: string): string {
  return pathDecoded(path.includes("//") ? path.replace(/\/{2,}/g, "/") : path);
}

/**
 * `..;x` is a dot segment for servers with path parameters, `..%2f` for those that decode first. Looked for in the
 * whole path: to cut 16 KiB of slashes into segments first takes a millisecond.
 */
const DOT_SEGMENT = /(?:^|\/|%2f)(?:\.|%2e){1,2}(?:;|\/|%2f|$)/i;

/** What makes a path readable in two ways, and so never served; undefined when nothing does. */
export function pathFault(path: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(path)) return "invalid percent-encoding";
  if (/\\|%5c/i.test(path)) return "a backslash";
  if (/%00/.test(path)) return "a NUL";
  return DOT_SEGMENT.test(path) ? "a dot segment" : undefined;
}
