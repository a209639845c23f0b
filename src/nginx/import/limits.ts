import type { RouteInput } from "../../config/route-schema.ts";
import { cidr } from "../../config/scalars.ts";
import type { Directive } from "../directive.ts";
import type { Scope } from "./scope.ts";

type Limits = NonNullable<RouteInput["limits"]>;
type Access = NonNullable<RouteInput["access"]>;

const OF_ADDRESS = /^\$(?:binary_)?remote_addr$/;
/** Keys that are the same for all requests of a server. */
const OF_ALL = /^(?:\$server_name|\$host|[\w-]+)$/;
const DAY_S = 86_400;

/** Returns the limits of a location. */
export function limitsOf(scope: Scope): Limits | undefined {
  const rate = scope.all("limit_req").flatMap((at) => rateOf(at, scope));
  const counts = Object.assign({}, ...scope.all("limit_conn").map((at) => countOf(at, scope))) as Limits;
  const [only, ...more] = rate;
  const limits = { ...(only !== undefined && { rate: more.length === 0 ? only : rate }), ...counts };
  return Object.keys(limits).length === 0 ? undefined : limits;
}

interface Rate {
  readonly requests: number;
  readonly per: string;
  readonly by: "ip" | "route";
}

/** Converts a rate: nginx admits `burst` requests at once and `rate` per unit; summed up over the refill time. */
function rateOf(at: Directive, scope: Scope): Rate[] {
  const zone = zoneOf(at, "limit_req_zone", scope);
  const match = /^rate=(\d{1,9})r\/([sm])$/.exec(zone?.args.find((arg) => arg.startsWith("rate=")) ?? "");
  const by = keyOf(zone);
  if (match === null || by === undefined) {
    scope.notes.add(at, "limits.rate counts per address or per route; write it by hand");
    return [];
  }
  const [rate, unit] = [Number(match[1]), match[2] === "m" ? 60 : 1];
  const burst = Number(
    /^burst=(\d{1,9})$/.exec(at.args.find((arg) => arg.startsWith("burst=")) ?? "")?.[1] ?? 0,
  );
  const seconds = Math.min(DAY_S, unit * Math.max(1, Math.ceil(burst / Math.max(1, rate))));
  const requests = Math.max(1, Math.floor((rate * seconds) / unit) + burst);
  if (burst > 0)
    scope.notes.add(at, `sluice has no burst: the route allows ${requests} requests in ${seconds}s instead`);
  return [{ requests, per: `${seconds}s`, by }];
}

function countOf(at: Directive, scope: Scope): Limits {
  const by = keyOf(zoneOf(at, "limit_conn_zone", scope));
  const count = Number(at.arg(1));
  if (by === undefined || !(count >= 1)) {
    scope.notes.add(at, "limits count per address or per route; write them by hand");
    return {};
  }
  scope.notes.add(at, "sluice counts only event streams, no other requests");
  return by === "ip" ? { streamsPerClient: count } : { streams: count };
}

/** Returns the zone that a limit names. */
function zoneOf(at: Directive, name: string, { configuration }: Scope): Directive | undefined {
  const zone = at.args.find((arg) => arg.startsWith("zone="))?.slice(5) ?? at.arg(0);
  for (const level of configuration.main.levels) {
    const found = level.own(name).find(({ args }) => args.some((arg) => arg.startsWith(`zone=${zone}:`)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function keyOf(zone: Directive | undefined): Rate["by"] | undefined {
  const key = zone?.arg(0) ?? "$";
  if (OF_ADDRESS.test(key)) return "ip";
  return OF_ALL.test(key) ? "route" : undefined;
}

/** An address that no client has: RFC 5737 reserves it for documentation. */
export const NOBODY = "192.0.2.1";

/**
 * Returns the allowed and denied addresses. nginx applies the first matching rule, sluice `deny` before `allow`;
 * lists with the same result are imported. For others the route is closed: it must not admit more than the location.
 */
export function accessOf(scope: Scope): Access | undefined {
  const rules = addressRules(scope);
  const end = rules.findIndex(({ value }) => value === "all");
  const [listed, last] = end < 0 ? [rules, undefined] : [rules.slice(0, end), rules[end]];
  const unread = listed.find(({ value }) => !cidr.safeParse(value).success);
  const deny = rangesOf(listed, "deny");
  const allow = rangesOf(listed, "allow");
  const isOrdered = listed.every((rule, at) => rule.name === "allow" || listed[at - 1]?.name !== "allow");
  const isClosed = last?.name === "deny";
  const odd =
    unread ?? (isOrdered && (isClosed || allow.length === 0 || deny.length === 0) ? undefined : rules[0]);
  if (odd !== undefined) {
    const why = odd === unread ? "not an address or range" : "the order of these rules has no counterpart";
    scope.notes.add(odd, `${why}: the route is closed (no client has ${NOBODY}) until you write access`);
    return { allow: [NOBODY] };
  }
  if (!isClosed && deny.length === 0) return undefined;
  return {
    ...(isClosed && { allow: allow.length > 0 ? allow : [NOBODY] }),
    ...(deny.length > 0 && { deny }),
  };
}

const rangesOf = (rules: readonly Directive[], name: string): string[] =>
  rules.filter((rule) => rule.name === name).map(({ value }) => value);

/** Returns the `allow` and `deny` of the innermost level that has any: nginx keeps both in one list. */
function addressRules({ location }: Scope): readonly Directive[] {
  for (const level of location.outward()) {
    const own = level.directives.filter(({ name }) => name === "allow" || name === "deny");
    if (own.length > 0) return own;
  }
  return [];
}
