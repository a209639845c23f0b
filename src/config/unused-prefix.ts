import { routingPath } from "../http/routing-path.ts";
import { normalizedMatch } from "./conflicts.ts";
import type { RouteMatch } from "./match-schema.ts";

/** Whether no path of a route begins with a `stripPrefix`, so that it would never be removed. */
export function isUnusedPrefix(prefix: string, match: RouteMatch): boolean {
  const { path, isPrefix } = normalizedMatch(match);
  const stripped = routingPath(prefix);
  if (stripped === "" || stripped === "/") return false;
  return !isBelow(path, stripped) && !(isPrefix && isBelow(stripped, path));
}

const isBelow = (path: string, prefix: string): boolean => path === prefix || path.startsWith(`${prefix}/`);
