import type { RouteInput } from "../../config/route-schema.ts";
import { isUnusedPrefix } from "../../config/unused-prefix.ts";
import type { Directive } from "../directive.ts";
import { isRegex, modifierOf, pathOf } from "../locations.ts";
import { encoded } from "./matches.ts";
import { NotImported } from "./notes.ts";
import type { Proxied } from "./scope.ts";

type Rewrite = NonNullable<RouteInput["rewrite"]>;

const AS_CLIENT = new Set(["$request_uri", "$uri$is_args$args", "$uri"]);
const WRITE = "write rewrite.stripPrefix and addPrefix by hand";

/** Returns the change of the path for the backend; undefined without a change. Throws NotImported. */
export function rewriteOf({ scope, target }: Proxied): Rewrite | undefined {
  const rewrites = scope.all("rewrite").filter((at) => scope.location.directives.includes(at));
  const [first, ...more] = rewrites;
  if (first !== undefined) {
    if (more[0] !== undefined) throw new NotImported(more[0], `there are several rewrites; ${WRITE}`);
    return byExpression(first);
  }
  const { uri, directive } = target;
  if (uri === undefined || AS_CLIENT.has(uri)) return undefined;
  if (/[$?]/.test(uri)) throw new NotImported(directive, `the path contains variables; ${WRITE}`);
  if (isRegex(scope.location))
    throw new NotImported(directive, `the location is a regular expression; ${WRITE}`);
  const path = pathOf(scope.location);
  const rewrite =
    modifierOf(scope.location) === "=" ? ofWhole(path, uri) : ofPrefix(path, uri, scope, directive);
  if (rewrite === undefined)
    throw new NotImported(directive, `${path} becomes ${uri}, which does not end at a slash; ${WRITE}`);
  return tidy(rewrite);
}

/** Returns a rewrite without the change of paths if it concerns no request of a path: nginx then leaves it as it is. */
export function rewriteFor(path: string, rewrite: Rewrite | undefined): Rewrite | undefined {
  if (rewrite?.stripPrefix === undefined || !isUnusedPrefix(rewrite.stripPrefix, { path })) return rewrite;
  const { stripPrefix: _strip, addPrefix: _add, ...rest } = rewrite;
  return Object.keys(rest).length === 0 ? undefined : rest;
}

interface Change {
  readonly strip: string;
  readonly add: string;
}

function tidy({ strip, add }: Change): Rewrite | undefined {
  const [from, to] = [strip, add].map((text) => encoded(text.replace(/\/+$/, "")));
  if (from === to || (from === "" && to === "")) return undefined;
  return { ...(from !== "" && { stripPrefix: from }), ...(to !== "" && { addPrefix: to }) };
}

/** Replaces the location's path with that of proxy_pass, as nginx does. */
function ofPrefix(path: string, uri: string, { notes }: Proxied["scope"], at: Directive): Change | undefined {
  if (path.endsWith("/") === uri.endsWith("/")) return { strip: path, add: uri };
  if (!uri.endsWith("/")) return undefined;
  notes.add(at, `nginx sends ${uri}/x for ${path}/x; the route sends ${uri}x`);
  return { strip: path, add: uri };
}

/** Replaces one whole path with another, except for the segments that both end with. */
function ofWhole(path: string, uri: string): Change | undefined {
  if (path === uri) return { strip: "", add: "" };
  if (uri.endsWith("/") && !path.endsWith("/")) return { strip: path, add: uri };
  const [from, to] = [path.split("/"), uri.split("/")];
  let shared = 0;
  while (shared < Math.min(from.length, to.length) - 1 && from.at(-1 - shared) === to.at(-1 - shared))
    shared += 1;
  if (shared === 0) return undefined;
  return { strip: from.slice(0, -shared).join("/"), add: to.slice(0, -shared).join("/") };
}

/** Converts `^/api/(.*)$ /v1/$1 break` and its variants. */
function byExpression(at: Directive): Rewrite | undefined {
  const [source = "", replacement = "", flag] = at.args;
  if (flag !== "break") throw new NotImported(at, `only a rewrite with break can be imported; ${WRITE}`);
  const match = /^\^((?:\/[\w.~-]+|\\[.-])*)(\/?)(\??)\((\/?)\.\*\)\$?$/.exec(source.replace(/\\/g, ""));
  const [, strip = "", slash, optional, inner] = match ?? [];
  const tail = /^((?:\/[\w.~-]+)*)(\/?)\$1$/.exec(replacement);
  const [, add = "", slashAfter] = tail ?? [];
  if (match === null || tail === null) throw new NotImported(at, `the expression is not a prefix; ${WRITE}`);
  const hasSlash = slash === "/" || inner === "/";
  const keepsSlash = slashAfter === "/" || inner === "/";
  const isWhole = strip === "" && slash === "" && inner === "" && slashAfter === "";
  if (!(isWhole || (hasSlash && keepsSlash)) || (optional === "?" && inner === "/")) {
    throw new NotImported(at, `the path does not change at a slash; ${WRITE}`);
  }
  return tidy({ strip, add });
}
