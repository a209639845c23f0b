import * as z from "zod";
import { duration } from "./scalars.ts";
import { secret } from "./secret.ts";

const EXPECTED = "expected a URL such as redis://127.0.0.1:6379 or rediss://user:password@host:6380/0";

/** The URL may contain a password, so it is a secret: the text itself, or `file:/path`. */
const redisUrl = secret.transform((url, ctx) => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isRedis = parsed?.protocol === "redis:" || parsed?.protocol === "rediss:";
  if (isRedis && parsed.hostname !== "" && /^\/?\d{0,4}$/.test(parsed.pathname)) return url;
  // Without the text, which may be a password instead of a URL.
  ctx.addIssue(EXPECTED);
  return z.NEVER;
});

const redisObject = z.strictObject({
  url: redisUrl.describe("redis://[user:password@]host[:port][/database], rediss:// for TLS, or file:/path."),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "expected 1 to 64 letters, digits and _ . : -")
    .prefault("sluice")
    .describe("The prefix of every key's name."),
  lease: duration
    .refine((ms) => ms >= 500 && ms <= 60_000, "expected a duration from 500ms to 60s")
    .prefault("2s")
    .describe("How long another instance waits to take over the streams of a killed instance."),
  timeout: duration
    .refine((ms) => ms >= 50 && ms <= 30_000, "expected a duration from 50ms to 30s")
    .prefault("1s")
    .describe("Without a reply for this long, Redis counts as away, and events are delivered without it."),
  required: z
    .boolean()
    .prefault(false)
    .describe(
      "While Redis is away, /readyz reports not ready. Without it, ready with the reason: all replicas would leave the load balancer together.",
    ),
});

/** `redis` of sluice.yaml: null, a URL, or an object. */
export const redisSchema = z
  .union(
    [z.null(), redisUrl.transform((url) => redisObject.parse({ url })), redisObject],
    `${EXPECTED}, or null`,
  )
  .prefault(null);

/** The `redis` of sluice.yaml after validation. */
export type RedisConfig = z.output<typeof redisObject>;
