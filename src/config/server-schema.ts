import * as z from "zod";
import type { AppConfig } from "./apps-schema.ts";
import type { RouteConfig } from "./route-schema.ts";
import { cidr, duration, size } from "./scalars.ts";

/** sluice.yaml: the server. Every key has a default. */

/** A TCP address, or the path of a unix socket. */
export type ListenAddress =
  | { readonly host: string | undefined; readonly port: number }
  | { readonly path: string };

const EXPECTED_ADDRESS = "expected a port, host:port such as 127.0.0.1:8000, or unix:/path";

/** Reads `8000`, `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000` and `unix:/path`; port 0 takes a free one. */
export function parseAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:/")) return { path: text.slice(5) };
  const parts = /^(?:(?<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?<port>\d{1,5})$/.exec(text)?.groups;
  const port = Number(parts?.["port"]);
  if (parts === undefined || port > 65_535) return undefined;
  return { host: parts["host"]?.replace(/^\[(.*)\]$/, "$1"), port };
}

const ADDRESS_PATTERN = "^(unix:/.+|([A-Za-z0-9._-]+:|\\[[0-9A-Fa-f:.]+\\]:)?[0-9]{1,5})$";

const address = z
  .union([z.string().meta({ pattern: ADDRESS_PATTERN }), z.int().min(0).max(65_535)], EXPECTED_ADDRESS)
  .transform((value, ctx): ListenAddress => {
    const parsed = parseAddress(String(value));
    if (parsed !== undefined) return parsed;
    ctx.addIssue(EXPECTED_ADDRESS);
    return z.NEVER;
  });

export const serverSchema = z.strictObject({
  listen: z
    .union([address, z.array(address).min(1)], EXPECTED_ADDRESS)
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .prefault(8000)
    .describe("A port, host:port, unix:/path, or a list of them."),
  trustedProxies: z
    .array(cidr)
    .prefault([])
    .describe("Addresses whose X-Forwarded-*, Forwarded, X-Real-IP and X-Request-Id are believed."),
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error", "silent"])
        .prefault("info")
        .describe("The least that is logged."),
      format: z.enum(["json", "pretty"]).prefault("json").describe("One JSON object a line, or for people."),
    })
    .prefault({})
    .describe("What is logged, and how; to standard output."),
  limits: z
    .strictObject({
      headerBytes: size
        .prefault("16k")
        .describe("Request line and header fields together; 431 or 414 beyond."),
      headers: z.int().min(1).max(2000).prefault(100).describe("Header fields of a request; 431 beyond."),
      bodyBytes: size
        .prefault("12m")
        .describe("The longest body that is read whole, where a route's policy must see it; 413 beyond."),
      signatures: z
        .int()
        .min(1)
        .max(10_000_000)
        .prefault(100_000)
        .describe("Signatures remembered at a time for auth.app.replay: reject; 429 for a new one beyond."),
      requestTimeout: duration
        .prefault("60s")
        .describe(
          "Until a request, head and body, has come in whole; 408 after. It never bounds a response.",
        ),
    })
    .prefault({})
    .describe("What a request may be at most."),
});

/** sluice.yaml after validation: every default filled in, durations in milliseconds, sizes in bytes. */
export type ServerConfig = z.output<typeof serverSchema>;

/** Everything a gateway runs on. */
export interface Config {
  readonly server: ServerConfig;
  readonly routes: readonly RouteConfig[];
  readonly apps: readonly AppConfig[];
}
