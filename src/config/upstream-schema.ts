import { X509Certificate } from "node:crypto";
import * as z from "zod";
import { appKey } from "./apps-schema.ts";
import { certificatesIn } from "./pem.ts";
import { type BackendAddress, backendUrl, duration } from "./scalars.ts";
import { secret } from "./secret.ts";
import { readTextFile } from "./text-file.ts";

/** The `upstream` of a route: the group of backends that its requests go to. */

/** As many as a group may have; every choice looks at all of them. */
const MAX_BACKENDS = 256;

const backend = z.strictObject({
  url: backendUrl.describe("http://host:port, https://host:port or unix:/path."),
  weight: z
    .int()
    .min(1)
    .max(1000)
    .prefault(1)
    .describe("Its share: a backend of weight 2 gets twice as much as one of weight 1."),
  backup: z.boolean().prefault(false).describe("Used only while no other backend is available."),
  maxFails: z
    .int()
    .min(0)
    .max(100)
    .prefault(1)
    .describe("So many failures within failTimeout take it out for failTimeout; 0: never."),
  failTimeout: duration
    .prefault("10s")
    .describe("The time in which failures count together, and for which it is then left alone."),
});

const sign = z.strictObject({
  key: appKey.describe("The key by which the backend knows this gateway."),
  secret: secret.describe("Its secret, or file:/path."),
});

/** A probe more often than this is load, and one less often than the other is none. */
const PROBE_INTERVAL_MS = { least: 50, most: 3_600_000 } as const;

const healthCheck = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[\x21-\x22\x24-\x7e]*$/, "expected a path such as /healthz")
      .describe("What is asked for, with its query; a status from 200 to 399 is healthy."),
    interval: duration
      .superRefine((ms, ctx) => {
        if (ms < PROBE_INTERVAL_MS.least || ms > PROBE_INTERVAL_MS.most)
          ctx.addIssue("expected a duration from 50ms to 1h");
      })
      .prefault("5s")
      .describe("The time between two checks of one backend, less up to a fifth."),
    timeout: duration.prefault("2s").describe("Until the answer's head has come."),
    healthy: z
      .int()
      .min(1)
      .max(100)
      .prefault(2)
      .describe("So many good answers in a row bring an unhealthy backend back."),
    unhealthy: z.int().min(1).max(100).prefault(2).describe("So many failures in a row take it out."),
  })
  .describe("Asks every backend from time to time; without it only requests tell how a backend is.");

const tls = z.strictObject({
  ca: z
    .string("expected the path of a PEM file")
    .transform((path, ctx) => {
      const pem = readCertificates(path);
      if ("certificates" in pem) return pem.certificates;
      ctx.addIssue(pem.problem);
      return z.NEVER;
    })
    .optional()
    .describe("A PEM file with the only authorities to trust, in place of the well-known ones."),
  serverName: z
    .string()
    .regex(/^(?=.{1,253}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, "expected a host name")
    .optional()
    .describe("The name to ask for (SNI) and to find in the certificate; otherwise the host of the url."),
  verify: z
    .boolean()
    .prefault(true)
    .describe("false takes any certificate: whoever is in between can read and change everything."),
});

function readCertificates(path: string): { certificates: string } | { problem: string } {
  const read = readTextFile(path);
  if ("problem" in read) return { problem: `${path}: ${read.problem.message}` };
  const blocks = certificatesIn(read.text);
  if (blocks.length === 0) return { problem: `${path}: expected certificates in PEM form` };
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    return { problem: `${path}: expected certificates that can be read` };
  }
  return { certificates: blocks.join("\n") };
}

const upstreamObject = z
  .strictObject({
    backends: z
      .array(backend)
      .min(1, "expected at least one backend")
      .max(MAX_BACKENDS)
      .describe("Where requests go."),
    balance: z
      .enum(["leastConnections", "roundRobin", "hash", "randomTwo"])
      .prefault("leastConnections")
      .describe(
        "Who is next: the backend with the fewest requests and streams under way; each in turn; always the same one for a client's address; or the less busy of two drawn.",
      ),
    retries: z
      .int()
      .min(0)
      .max(10)
      .prefault(1)
      .describe(
        "How many other backends may be tried before the first byte of an answer: with any request that did not leave, and with an idempotent one without a body.",
      ),
    healthCheck: healthCheck.optional(),
    connectTimeout: duration.prefault("5s").describe("Until the connection to a backend stands; then 504."),
    responseHeaderTimeout: duration
      .prefault("60s")
      .describe("Until a backend's response head has come; then 504."),
    hostHeader: z
      .enum(["preserve", "backend"])
      .prefault("preserve")
      .describe("The Host that the backend sees: the client's, or the backend's own."),
    tls: tls.optional().describe("How https backends are verified."),
    sign: sign.optional().describe("Sign what is sent to the backends, as an app signs (SDK-HMAC-SHA256)."),
  })
  .superRefine(({ backends, tls: verification }, ctx) => {
    const issue = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
    if (backends.length > 0 && backends.every(({ backup }) => backup))
      issue(["backends"], "expected one that is not a backup");
    const names = backends.map(({ url }) => nameOf(url));
    for (const [at, name] of names.entries()) {
      const first = names.indexOf(name);
      if (first < at)
        issue(["backends", at, "url"], `the same backend as backends[${first}]; weight gives it more`);
    }
    if (verification === undefined) return;
    if (!backends.some(({ url }) => url.tls)) issue(["tls"], "expected an https backend to verify");
    if (!verification.verify && verification.ca !== undefined)
      issue(["tls", "ca"], "expected no ca together with verify: false");
  });

/** The same for two spellings of one address. */
function nameOf({ tls: isTls, host, port, socketPath }: BackendAddress): string {
  return socketPath ?? `${isTls ? "https" : "http"}://${host.toLowerCase()}:${port}`;
}

/** Opens the short form, so that one schema validates and describes both. */
export const upstream = z
  .union(
    [backendUrl, upstreamObject],
    "expected a URL such as http://127.0.0.1:8080, or an object with backends",
  )
  .transform((value) =>
    "backends" in value ? value : upstreamObject.parse({ backends: [{ url: value.url }] }),
  )
  .describe("A URL, short for { backends: [{ url }] }, or the object.");

export type UpstreamConfig = z.output<typeof upstream>;
export type BackendConfig = UpstreamConfig["backends"][number];
export type HealthCheckConfig = NonNullable<UpstreamConfig["healthCheck"]>;
export type BalanceMethod = UpstreamConfig["balance"];
export type UpstreamTls = NonNullable<UpstreamConfig["tls"]>;
