import { MAX_DURATION_MS } from "../../base/units.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { formatDuration, parseTime } from "../units.ts";
import type { UpstreamObject } from "./balance.ts";
import type { Notes } from "./notes.ts";

type Sticky = Exclude<NonNullable<UpstreamObject["sticky"]>, "off">;
type CookieInput = Exclude<NonNullable<Sticky["cookie"]>, string>;

/** nginx's default of `timeout` in `sticky learn`. */
const LEARN_MS = 600_000;

/** Returns the `sticky` of an `upstream` block with several servers. */
export function stickyOf(upstream: Level, notes: Notes): Pick<UpstreamObject, "sticky"> {
  const at = upstream.directives.find(({ name }) => name === "sticky");
  if (at === undefined || upstream.own("server").length < 2) return {};
  const [kind, ...args] = at.args;
  const sticky =
    kind === "cookie" ? cookieOf(args, at, notes) : kind === "learn" ? learnOf(args, at, notes) : undefined;
  if (sticky === undefined) {
    notes.add(at, "has no counterpart; upstream.sticky: { cookie: NAME } sets a cookie of sluice");
    return {};
  }
  return { sticky };
}

function cookieOf([name = "", ...args]: readonly string[], at: Directive, notes: Notes): Sticky {
  const found: Omit<CookieInput, "name"> = {};
  for (const arg of args) {
    const [key = "", value = ""] = arg.split("=");
    const ms = key === "expires" ? parseTime(value) : undefined;
    const site = key === "samesite" ? SITES.get(value.toLowerCase()) : undefined;
    if (ms !== undefined && ms > 0) found.maxAge = formatDuration(Math.min(ms, MAX_DURATION_MS));
    else if (site !== undefined) found.sameSite = site;
    // sluice's cookie is HttpOnly, has Path=/, and is Secure if the client came by TLS.
    else if (!["httponly", "secure", "path=/"].includes(arg)) notes.add(at, `${arg} has no counterpart`);
  }
  return { cookie: Object.keys(found).length === 0 ? name : { name, ...found } };
}

const SITES: ReadonlyMap<string, CookieInput["sameSite"]> = new Map([
  ["lax", "lax"],
  ["strict", "strict"],
  ["none", "none"],
]);

/** Returns undefined unless the session is named by the same field of responses and requests. */
function learnOf(args: readonly string[], at: Directive, notes: Notes): Sticky | undefined {
  const valuesOf = (key: string) =>
    args.filter((arg) => arg.startsWith(`${key}=`)).map((arg) => arg.slice(key.length + 1));
  const [create = "", ...moreCreates] = valuesOf("create");
  const [lookup = "", ...moreLookups] = valuesOf("lookup");
  const field = /^\$upstream_http_(\w+)$/.exec(create)?.[1];
  if (field === undefined || lookup !== `$http_${field}` || moreCreates.length + moreLookups.length > 0)
    return undefined;
  const [timeout] = valuesOf("timeout");
  const ms = timeout === undefined ? LEARN_MS : (parseTime(timeout) ?? LEARN_MS);
  if (args.includes("sync")) notes.add(at, "instances share sessions by Redis");
  const expires = formatDuration(Math.min(Math.max(1, ms), MAX_DURATION_MS));
  return { learn: { field: field.replaceAll("_", "-"), expires } };
}
