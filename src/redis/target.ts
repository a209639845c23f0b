import type { RedisOptions } from "ioredis";
import type { RedisConfig, RedisNode } from "../config/redis-schema.ts";
import type { SentinelWatch } from "./sentinel-watch.ts";
import { tlsOptions } from "./tls-options.ts";

type Options = Omit<RedisOptions, "replyMapping">;

/** The way to a server, as ioredis takes it. */
export interface Target {
  /** Comes before the options. */
  readonly url?: string;
  readonly options: Options;
  /** Calls back when another server becomes the master. */
  readonly watch?: SentinelWatch;
}

/** Returns the way to the one server of a configuration, or to the present master of its sentinels. */
export function targetOf({ url, sentinel, username, password, tls, timeout }: RedisConfig): Target {
  const options = {
    ...credentialsOf({ username, password }),
    ...(tls !== undefined && { tls: tlsOptions(tls) }),
  };
  if (sentinel === undefined) return { ...(url !== undefined && { url }), options };
  return {
    options: {
      ...options,
      name: sentinel.name,
      role: "master",
      sentinels: sentinel.nodes.map(({ host, port }) => ({ host, port })),
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
      ...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(tls) }),
      // A sentinel that hangs must not keep the next one from being asked.
      sentinelCommandTimeout: timeout,
      sentinelRetryStrategy: (failures) => Math.min(2_000, 100 * 2 ** Math.min(failures, 10)),
      updateSentinels: true,
    },
  };
}

/** Returns the way to a node of a cluster. */
export function nodeTarget({ username, password, tls }: RedisConfig, { host, port }: RedisNode): Target {
  const options = {
    ...credentialsOf({ username, password }),
    ...(tls !== undefined && { tls: tlsOptions(tls) }),
  };
  return { options: { ...options, host, port } };
}

const credentialsOf = ({ username, password }: Pick<RedisConfig, "username" | "password">): Options => ({
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password }),
});
