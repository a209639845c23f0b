import type { RewriteConfig } from "../config/rewrite-schema.ts";
import { routingPath } from "../http/routing-path.ts";

/** The part of a route's `rewrite` that changes paths. */
type PathRewrite = Pick<RewriteConfig, "stripPrefix" | "addPrefix">;

/** Returns the path for the backend: without `stripPrefix`, and with `addPrefix`. */
export function backendPath(path: string, { stripPrefix, addPrefix }: PathRewrite): string {
  return addPrefix + (withoutPrefix(path, stripPrefix) ?? path);
}

/** Returns the `stripPrefix` that is removed from a path of the client; empty if the path does not begin with it. */
export function strippedPrefix(path: string, { stripPrefix }: PathRewrite): string {
  return stripPrefix !== "" && withoutPrefix(path, stripPrefix) !== undefined ? stripPrefix : "";
}

/**
 * Returns a path without a prefix that ends at a segment boundary as routing reads it; undefined if the path does not
 * begin with the prefix. An empty prefix changes nothing.
 */
export function withoutPrefix(path: string, prefix: string): string | undefined {
  if (prefix === "") return path;
  const segments = path.split("/");
  const end = endOfPrefix(segments, routingPath(prefix).split("/").filter(isNamed));
  return end === undefined ? undefined : `/${segments.slice(end).join("/")}`;
}

const isNamed = (segment: string): boolean => segment !== "";

/**
 * Returns the index of the first segment behind a prefix, with slashes in a row read as one; undefined if the path
 * does not begin with it.
 */
function endOfPrefix(segments: readonly string[], prefix: readonly string[]): number | undefined {
  let at = 0;
  for (const wanted of prefix) {
    while (segments[at] === "") at++;
    if (routingPath(segments[at] ?? "") !== wanted) return undefined;
    at++;
  }
  return at;
}
