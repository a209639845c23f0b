import * as z from "zod";
import { refuseTwice } from "./address-conflicts.ts";
import { admin, adminToken, refuseOpenAdmin } from "./admin-schema.ts";
import type { AppConfig } from "./apps-schema.ts";
import { defaultsSchema } from "./defaults-schema.ts";
import { drainSchema } from "./drain-schema.ts";
import { listenIn } from "./listen-schema.ts";
import { probe, refuseOpenProbe } from "./probe-schema.ts";
import { redisIn } from "./redis-schema.ts";
import type { RouteConfig } from "./route-schema.ts";
import { cidr } from "./scalars.ts";
import { serverLimits } from "./server-limits-schema.ts";
import { tracingSchema } from "./tracing-schema.ts";

/** sluice.yaml, the settings of the server. Every key has a default. */

export { type ListenAddress, parseAddress } from "./address-schema.ts";

/** A bound above the cores of most machines: more workers than cores only take memory. */
const MAX_WORKERS = 256;

/** Returns the schema of `redis`; its files are named relative to `directory`. */
const redisAt = (directory: string) =>
  redisIn(directory).describe(
    "A Redis that instances share, for histories of shared streams, named answers, rates, used signatures and tickets: a URL (short for { url }), or the object.",
  );

const serverObject = z.strictObject({
  listen: listenIn("."),
  admin,
  adminToken,
  trustedProxies: z
    .array(cidr)
    .prefault([])
    .describe("Addresses whose X-Forwarded-*, Forwarded, X-Real-IP and X-Request-Id are trusted."),
  workers: z
    .union([z.literal("auto"), z.int().min(1).max(MAX_WORKERS)], "expected a count of processes or auto")
    .prefault(1)
    .describe(
      "Processes that share the listeners; auto: one for each core. With more than one, routes with shared or resume need redis.",
    ),
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error", "silent"])
        .prefault("info")
        .describe("The lowest level that is logged."),
      format: z
        .enum(["auto", "json", "pretty"])
        .prefault("auto")
        .describe("json: one object per line. pretty: text for people. auto: text on a terminal, else JSON."),
    })
    .prefault({})
    .describe("The log, on standard output."),
  limits: serverLimits,
  drain: drainSchema,
  probe,
  redis: redisAt("."),
  tracing: tracingSchema,
  defaults: defaultsSchema
    .optional()
    .describe(
      "Values for all routes: the keys of a route file but match, mock and stages. A route's own key wins.",
    ),
});

export const serverSchema = checked(serverObject);

/** Returns the same schema for a sluice.yaml whose files are named relative to `directory`. */
export const serverSchemaIn = (directory: string) =>
  checked(serverObject.extend({ listen: listenIn(directory), redis: redisAt(directory) }));

/** Adds the rules between keys. The defaults are left out of the output: each route has taken its own already. */
function checked(schema: typeof serverObject) {
  return schema
    .superRefine(refuseOpenAdmin)
    .superRefine(refuseOpenProbe)
    .superRefine(refuseTwice)
    .transform(({ defaults: _, ...server }) => server);
}

/** sluice.yaml after validation: every default filled in, durations in milliseconds, sizes in bytes. */
export type ServerConfig = z.output<typeof serverSchema>;

/** A validated configuration. */
export interface Config {
  readonly server: ServerConfig;
  readonly routes: readonly RouteConfig[];
  readonly apps: readonly AppConfig[];
}
