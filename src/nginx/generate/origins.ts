import type { RouteConfig } from "../../config/route-schema.ts";
import { type Block, escaped, type Line } from "./text.ts";

/**
 * The origins that may read nginx's own errors: those of all routes, because the errors reveal nothing of a route.
 */
export interface Origins {
  readonly isAny: boolean;
  readonly allowed: readonly string[];
  /** The origins that send cookies: a browser shows them a response only with Allow-Credentials. */
  readonly withCredentials: readonly string[];
}

/** Collects the origins of all routes. */
export function originsOf(routes: readonly RouteConfig[]): Origins {
  const allowed = new Set<string>();
  const withCredentials = new Set<string>();
  let isAny = false;
  for (const { cors } of routes) {
    if (cors === true) isAny = true;
    if (typeof cors === "boolean") continue;
    for (const origin of cors.allowOrigins) {
      if (origin === "*") isAny = true;
      else allowed.add(origin);
      if (cors.allowCredentials) withCredentials.add(origin);
    }
  }
  return { isAny, allowed: [...allowed], withCredentials: [...withCredentials] };
}

/** Whether the CORS fields depend on the request's origin. */
export const dependsOnOrigin = ({ isAny, allowed, withCredentials }: Origins): boolean =>
  withCredentials.length > 0 || (allowed.length > 0 && !isAny);

/** Returns the `map` blocks from the request's origin to the CORS fields. */
export function originMaps(origins: Origins): Block[] {
  if (!dependsOnOrigin(origins)) return [];
  const { isAny, allowed, withCredentials } = origins;
  const maps: Block[] = [
    {
      opening: "map $http_origin $sluice_origin",
      why: "The origins that may use the routes. Their pages may also read nginx's own errors: without these fields a page sees only a failed request.",
      body: [
        { text: isAny ? "default *" : 'default ""' },
        ...allowed.map((origin) => ({ text: `${keyOf(origin)} $http_origin` })),
      ],
    },
  ];
  if (withCredentials.length > 0) {
    maps.push({
      opening: "map $http_origin $sluice_credentials",
      why: "Browsers let a page that sends cookies read only responses with this field.",
      body: [{ text: 'default ""' }, ...withCredentials.map((origin) => ({ text: `${keyOf(origin)} true` }))],
    });
  }
  return maps;
}

/** Returns the CORS fields of nginx's own errors; nginx does not send an empty value. */
export function originFields(origins: Origins): Line[] {
  if (!dependsOnOrigin(origins)) {
    return origins.isAny ? [{ text: "add_header Access-Control-Allow-Origin * always" }] : [];
  }
  return [
    { text: "add_header Access-Control-Allow-Origin $sluice_origin always" },
    ...(origins.withCredentials.length > 0
      ? [{ text: "add_header Access-Control-Allow-Credentials $sluice_credentials always" }]
      : []),
    { text: "add_header Vary Origin always" },
  ];
}

/** A longer key does not fit a bucket of nginx's hash table, and nginx would not start. */
const MAX_KEY_LENGTH = 46;
/** The `*` of `https://*.example.com`, as in sluice: one or more labels. */
const LABELS = "[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*";

function keyOf(origin: string): string {
  if (!origin.includes("*") && origin.length <= MAX_KEY_LENGTH) return `"${origin}"`;
  return `"~^${origin.split("*").map(escaped).join(LABELS)}$"`;
}

/** Returns a server_name; nginx keeps these in a hash table too. */
export function serverName(host: string): string {
  if (host.length <= MAX_KEY_LENGTH) return host;
  return host.startsWith("*") ? `"~^.+${escaped(host.slice(1))}$"` : `"~^${escaped(host)}$"`;
}
