import * as z from "zod";
import { appKey } from "./apps-schema.ts";
import { balanceSchema } from "./balance-schema.ts";
import { readAuthorities } from "./certificate-file.ts";
import { type BackendAddress, backendUrl, duration, durationOrOff, orOff, size } from "./scalars.ts";
import { secret } from "./secret.ts";
import { stickySchema } from "./sticky-schema.ts";

/** The `upstream` of a route: the group of backends that its requests go to. */

/** A bound, because each choice of a backend looks at all of them. */
const MAX_BACKENDS = 256;

const backend = z.strictObject({
  url: backendUrl.describe("http://host:port, https://host:port or unix:/path."),
  weight: z
    .int()
    .min(1)
    .max(1000)
    .prefault(1)
    .describe("The backend's share: weight 2 gets twice as many requests as weight 1."),
  backup: z.boolean().prefault(false).describe("Used only while no other backend is available."),
  maxFails: z
    .int()
    .min(0)
    .max(100)
    .prefault(1)
    .describe("Failures within failTimeout after which the backend is not used for failTimeout; 0: never."),
  failTimeout: duration
    .prefault("10s")
    .describe("The time in which failures are counted together, and for which the backend is then not used."),
});

const sign = z.strictObject({
  key: appKey.describe("The AppKey of this gateway at the backend."),
  secret: secret.describe("The AppSecret, or file:/path."),
});

/** Bounds of the interval: more frequent checks are a load, and rarer ones do not notice failures. */
const PROBE_INTERVAL_MS = { least: 50, most: 3_600_000 } as const;

const healthCheck = z.strictObject({
  path: z
    .string()
    .regex(/^\/[\x21-\x22\x24-\x7e]*$/, "expected a path such as /healthz")
    .describe("The path to request, with its query; a status from 200 to 399 is healthy."),
  interval: duration
    .superRefine((ms, ctx) => {
      if (ms < PROBE_INTERVAL_MS.least || ms > PROBE_INTERVAL_MS.most)
        ctx.addIssue("expected a duration from 50ms to 1h");
    })
    .prefault("5s")
    .describe("The time between two checks of one backend, shortened at random by up to a fifth."),
  timeout: duration.prefault("2s").describe("The time to receive the response head."),
  healthy: z
    .int()
    .min(1)
    .max(100)
    .prefault(2)
    .describe("Successful checks in a row after which an unhealthy backend is used again."),
  unhealthy: z
    .int()
    .min(1)
    .max(100)
    .prefault(2)
    .describe("Failed checks in a row after which a backend is not used."),
});

const tls = z.strictObject({
  ca: z
    .string("expected the path of a PEM file")
    .transform((path, ctx) => {
      const pem = readAuthorities(path);
      if ("certificates" in pem) return pem.certificates;
      ctx.addIssue(pem.problem);
      return z.NEVER;
    })
    .optional()
    .describe("A PEM file with the certificate authorities to trust, instead of the well-known ones."),
  serverName: z
    .string()
    .regex(/^(?=.{1,253}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, "expected a host name")
    .optional()
    .describe("The name for SNI and for the check of the certificate; the host of the url by default."),
  verify: z
    .boolean()
    .prefault(true)
    .describe(
      "false accepts any certificate: an attacker on the network can then read and change everything.",
    ),
});

const backends = z
  .array(backend)
  .min(1, "expected at least one backend")
  .max(MAX_BACKENDS)
  .describe("The backends of the group.");

const upstreamKeys = z.strictObject({
  backends,
  balance: balanceSchema.describe(
    "How a backend is chosen: the one with the fewest open requests and streams; each in turn; by a hash of the client's address, always the same one; or the less busy of two random ones. { method: hash, by: header:NAME } hashes something else.",
  ),
  sticky: orOff(stickySchema).describe("Keep a client, or a session, at the backend that served it first."),
  retries: z
    .int()
    .min(0)
    .max(10)
    .prefault(1)
    .describe(
      "How many other backends to try before the first byte of a response: with any request of which no byte was sent, and with an idempotent request without a body.",
    ),
  healthCheck: orOff(healthCheck).describe(
    "Check every backend regularly; without it only requests show whether a backend is healthy.",
  ),
  connectTimeout: duration.prefault("5s").describe("The time to connect to a backend; then 504."),
  responseHeaderTimeout: duration
    .prefault("60s")
    .describe("The time to receive a backend's response head; then 504."),
  keepAlive: durationOrOff
    .prefault("1500ms")
    .describe(
      "How long an idle connection to a backend may be used again, less if the backend's Keep-Alive field says so; or off, a connection for each request. Must be shorter than the backend's own time: a POST that meets its closing is a 502.",
    ),
  headerBytes: size
    .refine((bytes) => bytes >= 1024 && bytes <= 1024 ** 2, "expected a size from 1k to 1m")
    .prefault("64k")
    .describe("Status line and header fields of a backend's response together; then 502."),
  hostHeader: z
    .enum(["preserve", "backend"])
    .prefault("preserve")
    .describe("The Host field for the backend: the client's, or the backend's own."),
  acceptEncoding: z
    .enum(["pass", "identity"])
    .prefault("pass")
    .describe(
      "The Accept-Encoding field for the backend: the client's, or identity, so that the backend compresses nothing. A request that accepts text/event-stream always gets identity.",
    ),
  tls: orOff(tls).describe("How https backends are verified."),
  sign: orOff(sign).describe("Sign the requests to the backends, as an app does (SDK-HMAC-SHA256)."),
});

const upstreamObject = upstreamKeys.superRefine(refuseContradictions);

function refuseContradictions(
  { backends, tls: verification }: z.output<typeof upstreamKeys>,
  ctx: z.RefinementCtx,
): void {
  const issue = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
  if (backends.length > 0 && backends.every(({ backup }) => backup))
    issue(["backends"], "expected at least one backend that is not a backup");
  const names = backends.map(({ url }) => addressName(url));
  for (const [at, name] of names.entries()) {
    const first = names.indexOf(name);
    if (first < at)
      issue(
        ["backends", at, "url"],
        `the same backend as backends[${first}]; to give it more requests, set its weight`,
      );
  }
  if (verification === undefined) return;
  if (!backends.some(({ url }) => url.tls)) issue(["tls"], "expected an https backend to verify");
  if (!verification.verify && verification.ca !== undefined)
    issue(["tls", "ca"], "expected no ca together with verify: false");
}

/** Returns the same text for different spellings of one address. */
export function addressName({ tls: isTls, host, port, socketPath }: BackendAddress): string {
  return socketPath ?? `${isTls ? "https" : "http"}://${host.toLowerCase()}:${port}`;
}

/** Expands the short form, so that one schema validates and describes both. */
export const upstream = z
  .union(
    [backendUrl, upstreamObject],
    "expected a URL such as http://127.0.0.1:8080, or an object with backends",
  )
  .transform((value) =>
    "backends" in value ? value : upstreamObject.parse({ backends: [{ url: value.url }] }),
  )
  .describe("A URL (short for { backends: [{ url }] }), or the object.");

/**
 * The `upstream` of `defaults`, which may lack the backends. The rules between its keys are checked for each route, with
 * the backends of the route.
 */
export const upstreamDefaults = z
  .union(
    [backendUrl, upstreamKeys.partial({ backends: true })],
    "expected a URL such as http://127.0.0.1:8080, or an object such as { connectTimeout: 2s }",
  )
  .describe("A URL, or the object; a route that has backends of its own uses the other keys.");

export type UpstreamConfig = z.output<typeof upstream>;
export type BackendConfig = UpstreamConfig["backends"][number];
export type HealthCheckConfig = NonNullable<UpstreamConfig["healthCheck"]>;
export type UpstreamTls = NonNullable<UpstreamConfig["tls"]>;
