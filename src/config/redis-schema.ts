import * as z from "zod";
import { redisTlsIn } from "./redis-tls-schema.ts";
import { duration } from "./scalars.ts";
import { secret } from "./secret.ts";

/** The `redis` of sluice.yaml: the Redis that instances share, as one server, behind Sentinel, or as a Cluster. */

const EXPECTED = "expected a URL such as redis://127.0.0.1:6379 or rediss://user:password@host:6380/0";
const SEVERAL = "expected one server; for several, use redis.sentinel or redis.cluster";
const EXPECTED_NODE = "expected host:port, such as 10.0.0.1:6379";

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** A bound, because each process connects to every node of a cluster. */
const MAX_NODES = 100;

/** A list of servers, or a URL of other clients such as redis+sentinel://. */
const SEVERAL_SERVERS = /^rediss?(?:[+-]|:[^,]*,)/;

/** The URL may contain a password, so it is a secret: the text itself, or `file:/path`. */
const redisUrl = secret.transform((url, ctx) => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isRedis = parsed?.protocol === "redis:" || parsed?.protocol === "rediss:";
  if (isRedis && parsed.hostname !== "" && /^\/?\d{0,4}$/.test(parsed.pathname)) return url;
  // Without the text, which may be a password instead of a URL.
  ctx.addIssue(SEVERAL_SERVERS.test(url) ? SEVERAL : EXPECTED);
  return z.NEVER;
});

/** A server of a list. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

const NODE = /^(?:([A-Za-z0-9._-]+)|\[([0-9A-Fa-f:.]+)\])(?::(\d{1,5}))?$/;

const nodesWith = (defaultPort: number) => {
  const node = z
    .string(EXPECTED_NODE)
    .meta({ pattern: NODE.source })
    .transform((text, ctx): RedisNode => {
      const [, name, address, port = String(defaultPort)] = NODE.exec(text) ?? [];
      const host = name ?? address;
      if (host !== undefined && Number(port) > 0 && Number(port) <= 65_535)
        return { host, port: Number(port) };
      ctx.addIssue(EXPECTED_NODE);
      return z.NEVER;
    });
  return z.array(node, "expected a list of host:port").min(1, "expected at least one node").max(MAX_NODES);
};

const username = z.string().min(1, "expected a name that is not empty").optional();

const sentinelObject = z.strictObject({
  name: z
    .string()
    .regex(/^[\w.-]{1,255}$/, "expected the name of the master in sentinel.conf")
    .describe("The name of the master in sentinel.conf, such as mymaster."),
  nodes: nodesWith(SENTINEL_PORT).describe("The sentinels, each as host or host:port (26379)."),
  username: username.describe("The ACL user at the sentinels."),
  password: secret.optional().describe("The password at the sentinels, or file:/path."),
});

const clusterObject = z.strictObject({
  nodes: nodesWith(REDIS_PORT).describe(
    "Some nodes of the cluster, each as host or host:port (6379); they name the others.",
  ),
});

/** Returns the schema of `redis`; its files are named relative to `directory`. */
export function redisIn(directory: string) {
  const redisObject = z
    .strictObject({
      url: redisUrl
        .optional()
        .describe(
          "One server: redis://[user:password@]host[:port][/database], rediss:// for TLS, or file:/path.",
        ),
      sentinel: sentinelObject
        .optional()
        .describe("A master that Sentinel replaces when it fails, instead of url."),
      cluster: clusterObject.optional().describe("A Redis Cluster, instead of url."),
      username: username.describe("The ACL user."),
      password: secret.optional().describe("The password, or file:/path."),
      tls: redisTlsIn(directory)
        .optional()
        .describe(
          "true, or { ca, cert, key, serverName }: TLS to all servers and sentinels. With url, rediss:// turns it on.",
        ),
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
        .describe(
          "Without a reply for this long, Redis counts as away, and events are delivered without it.",
        ),
      required: z
        .boolean()
        .prefault(false)
        .describe(
          "While Redis is away, /readyz reports not ready. Without it, ready with the reason: all replicas would leave the load balancer together.",
        ),
    })
    .superRefine(refuseContradictions);
  /** `redis` of sluice.yaml: null, a URL, or an object. */
  return z
    .union(
      [z.null(), redisUrl.transform((url) => redisObject.parse({ url })), redisObject],
      `${EXPECTED}, or null`,
    )
    .prefault(null);
}

interface Given {
  readonly url?: string | undefined;
  readonly sentinel?:
    | { readonly username?: string | undefined; readonly password?: string | undefined }
    | undefined;
  readonly cluster?: object | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: object | undefined;
}

function refuseContradictions(
  { url, sentinel, cluster, username, password, tls }: Given,
  ctx: z.RefinementCtx,
): void {
  const issue = (path: string[], message: string) => ctx.addIssue({ code: "custom", path, message });
  const ways = [url, sentinel, cluster].filter((way) => way !== undefined).length;
  if (ways === 0) issue([], "expected url, sentinel or cluster");
  if (ways > 1) issue([], "expected only one of url, sentinel and cluster");
  if (username !== undefined && password === undefined) issue(["username"], "expected password as well");
  if (sentinel?.username !== undefined && sentinel.password === undefined)
    issue(["sentinel", "username"], "expected password as well");
  if (url === undefined || ways > 1) return;
  const { protocol, username: name, password: word } = new URL(url);
  if (tls !== undefined && protocol !== "rediss:") issue(["tls"], "expected a url with rediss://");
  if (password !== undefined && name + word !== "")
    issue(["password"], "expected it in url or here, not in both");
}

export const redisSchema = redisIn(".");

/** The `redis` of sluice.yaml after validation. */
export type RedisConfig = NonNullable<z.output<typeof redisSchema>>;
