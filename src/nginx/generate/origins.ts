import type { RouteConfig } from "../../config/route-schema.ts";
import { type Block, escaped, type Line } from "./text.ts";

/** The pages that may read nginx's own errors: those of all routes, as the errors tell nothing of any. */
export interface Origins {
  readonly isAny: boolean;
  readonly allowed: readonly string[];
  /** Those that send cookies: a browser shows them an answer only if it says so. */
  readonly withCredentials: readonly string[];
}

/** Gathers the origins of all routes. */
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

/** Whether the answer differs from page to page. */
export const dependsOnOrigin = ({ isAny, allowed, withCredentials }: Origins): boolean =>
  withCredentials.length > 0 || (allowed.length > 0 && !isAny);

/** The `map`s that tell the pages apart. */
export function originMaps(origins: Origins): Block[] {
  if (!dependsOnOrigin(origins)) return [];
  const { isAny, allowed, withCredentials } = origins;
  const maps: Block[] = [
    {
      opening: "map $http_origin $sluice_origin",
      why: "The pages that may use the routes. They read nginx's own errors as well: without these fields a browser shows a page no more than a failed request.",
      body: [
        { text: isAny ? "default *" : 'default ""' },
        ...allowed.map((origin) => ({ text: `${keyOf(origin)} $http_origin` })),
      ],
    },
  ];
  if (withCredentials.length > 0) {
    maps.push({
      opening: "map $http_origin $sluice_credentials",
      why: "Pages that send cookies are shown only what says that they may.",
      body: [{ text: 'default ""' }, ...withCredentials.map((origin) => ({ text: `${keyOf(origin)} true` }))],
    });
  }
  return maps;
}

/** The fields of nginx's own errors. An empty value is not sent. */
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

/** A key of 47 characters and more does not fit a bucket of the hash table, and nginx would not start. */
const MAX_KEY_LENGTH = 46;
/** As sluice reads `https://*.example.com`: one or more labels. */
const LABELS = "[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*";

function keyOf(origin: string): string {
  if (!origin.includes("*") && origin.length <= MAX_KEY_LENGTH) return `"${origin}"`;
  return `"~^${origin.split("*").map(escaped).join(LABELS)}$"`;
}

/** A server's name, of which nginx keeps a hash table as well. */
export const serverName = (host: string): string =>
  host.length <= MAX_KEY_LENGTH ? host : `"~^${escaped(host)}$"`;
