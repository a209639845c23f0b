import type { RouteInput } from "../../config/route-schema.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import type { Notes } from "./notes.ts";

/** The long form of a route's `upstream`. */
export type UpstreamObject = Exclude<NonNullable<RouteInput["upstream"]>, string>;
type Balance = NonNullable<UpstreamObject["balance"]>;

/** Returns the balancing method of an `upstream` block. */
export function balanceOf(upstream: Level, notes: Notes): Pick<UpstreamObject, "balance"> {
  for (const at of upstream.directives) {
    if (!KNOWN_IN_UPSTREAM.has(at.name)) notes.add(at, "has no counterpart");
  }
  // With one server no method is needed.
  if (upstream.own("server").length < 2) return {};
  const at = upstream.directives.find(({ name }) => METHODS.has(name));
  if (at === undefined) return { balance: "roundRobin" };
  const balance = at.name === "hash" ? hashOf(at, notes) : METHODS.get(at.name);
  return balance === undefined ? {} : { balance };
}

/** nginx's balancing methods; leastConnections is sluice's default. */
const METHODS: ReadonlyMap<string, Balance | undefined> = new Map([
  ["least_conn", undefined],
  ["ip_hash", "hash"],
  ["hash", "hash"],
  ["random", "randomTwo"],
]);

/** The directives without a note: sluice itself keeps connections and resolves names. */
const KNOWN_IN_UPSTREAM = new Set([
  ...["server", "keepalive", "keepalive_time", "keepalive_timeout", "keepalive_requests", "zone", "resolver"],
  "sticky",
  ...METHODS.keys(),
]);

/** The variables of nginx that `balance.by` can name. */
const HASHED =
  /^\$\{?(?:(?<kind>http|cookie|arg)_(?<name>\w+)|(?:binary_)?remote_addr|(?<host>host|http_host))\}?$/;

function hashOf(at: Directive, notes: Notes): Balance {
  const { kind, name = "", host } = HASHED.exec(at.arg(0))?.groups ?? {};
  if (host !== undefined) return { method: "hash", by: "header:host" };
  if (kind === "http") return { method: "hash", by: `header:${name.replaceAll("_", "-")}` };
  if (kind !== undefined) return { method: "hash", by: `${kind === "arg" ? "query" : "cookie"}:${name}` };
  if (!HASHED.test(at.arg(0)))
    notes.add(at, "the key has no counterpart; the route hashes the client's address");
  return "hash";
}
