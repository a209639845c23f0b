import { fieldValue, fieldValues, type RawFields } from "../http/fields.ts";
import { printable } from "./printable.ts";

/** A server or proxy. */
export interface Software {
  /** The product's name. */
  readonly name: string;
  readonly family: Family | undefined;
}

export type Family =
  | "nginx"
  | "caddy"
  | "haproxy"
  | "cloudflare"
  | "envoy"
  | "apache"
  | "varnish"
  | "aws"
  | "sluice";

const KNOWN: readonly (readonly [pattern: RegExp, name: string, family: Family | undefined])[] = [
  [/cloudflare/i, "Cloudflare", "cloudflare"],
  [/cloudfront/i, "CloudFront", "aws"],
  [/awselb|amazon/i, "AWS load balancer", "aws"],
  [/openresty/i, "openresty", "nginx"],
  [/tengine/i, "Tengine", "nginx"],
  [/nginx/i, "nginx", "nginx"],
  [/caddy/i, "Caddy", "caddy"],
  [/haproxy/i, "HAProxy", "haproxy"],
  [/envoy/i, "Envoy", "envoy"],
  [/varnish/i, "Varnish", "varnish"],
  [/apache/i, "Apache", "apache"],
  [/traefik/i, "Traefik", undefined],
  [/google/i, "Google's front end", undefined],
  [/akamai/i, "Akamai", undefined],
  [/fastly/i, "Fastly", "varnish"],
];

/** Fields that identify one product. */
const SIGNS: readonly (readonly [field: string, name: string, family: Family])[] = [
  ["cf-ray", "Cloudflare", "cloudflare"],
  ["x-amz-cf-id", "CloudFront", "aws"],
  ["x-envoy-upstream-service-time", "Envoy", "envoy"],
];

/** Returns the outermost program that a response names: in a product's own field, the end of Via, or Server. */
export function softwareOf(fields: RawFields): Software | undefined {
  for (const [field, name, family] of SIGNS)
    if (fieldValue(fields, field) !== undefined) return { name, family };
  const via = fieldValues(fields, "via").join(",").split(",").at(-1) ?? "";
  const server = fieldValue(fields, "server") ?? "";
  for (const text of [via, server]) {
    const known = KNOWN.find(([pattern]) => pattern.test(text));
    if (known !== undefined) return { name: known[1], family: known[2] };
  }
  const name = server.split(/[\s/(]/)[0] ?? "";
  return name === "" ? undefined : { name: printable(name), family: undefined };
}

/** Response fields that the report contains. */
const TELLING: readonly string[] = [
  "server",
  "via",
  "x-request-id",
  "age",
  "x-cache",
  "x-cache-status",
  "cf-cache-status",
  "cf-ray",
  "x-served-by",
  "alt-svc",
  "cache-control",
  "content-type",
  "content-encoding",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-expose-headers",
];

/** Returns the response fields for the report, with every value. */
export function tellingFields(fields: RawFields): Record<string, readonly string[]> {
  const found = TELLING.map((name): [string, readonly string[]] => [name, fieldValues(fields, name)]);
  return Object.fromEntries(found.filter(([, values]) => values.length > 0));
}
