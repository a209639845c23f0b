import * as z from "zod";

/** The `upgrade` of a route: the protocols to which a request may switch its connection. */

/** A protocol as Upgrade names it: a token, and optionally a version (RFC 9110 section 7.8). */
const PROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/;

/** The maximum number of protocols of a route; each upgrade is compared with all of them. */
const MAX_PROTOCOLS = 16;

const protocol = z
  .string("expected a protocol such as websocket, tcp or SPDY/3.1")
  .regex(PROTOCOL, "expected a protocol such as websocket, tcp or SPDY/3.1")
  .toLowerCase();

export const upgradeSchema = z
  .array(protocol, "expected a list of protocols such as [websocket, tcp]")
  .max(MAX_PROTOCOLS)
  .prefault([])
  .describe(
    "Forward upgrades to these protocols, as an Upgrade field names them: tcp for docker exec and attach, SPDY/3.1 for kubectl exec, websocket (the same as websocket: true). Any other upgrade is ignored, and its request is served without it.",
  );

interface UpgradingRoute {
  readonly match: { readonly path: string };
  readonly websocket: boolean;
  readonly upgrade: string[];
}

/** Refuses an upgrade with which a client could go past the route's own path. */
export function refuseNarrowH2c({ match, upgrade }: UpgradingRoute, ctx: z.RefinementCtx): void {
  if (!upgrade.includes("h2c") || match.path === "/*") return;
  const message =
    "expected h2c only on a route for /*: in the tunnel a client can ask for any path of the backend";
  ctx.addIssue({ code: "custom", path: ["upgrade"], message });
}

/** Makes `websocket: true` and `upgrade: [websocket]` the same. */
export function withWebSocket<T extends UpgradingRoute>(route: T): T {
  const has = route.upgrade.includes("websocket");
  if (has === route.websocket) return route;
  return { ...route, websocket: true, upgrade: has ? route.upgrade : [...route.upgrade, "websocket"] };
}
