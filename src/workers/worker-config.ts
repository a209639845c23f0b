import { ConfigError, type Problem } from "../config/problem.ts";
import { SHARED_BY_WORKERS } from "../config/route-problems.ts";
import type { Config } from "../config/server-schema.ts";

/**
 * Returns the configuration of each worker. The admin listener belongs to the primary; `redis` and the format of the log
 * stay as they were at the start, in `first`.
 */
export function workerConfig(config: Config, first: Config): Config {
  const { redis, log } = first.server;
  const { server } = config;
  return {
    ...config,
    server: { ...server, admin: undefined, workers: 1, redis, log: { ...server.log, format: log.format } },
  };
}

/**
 * Refuses a reload with routes that need Redis if there was none at the start: the files may configure one now, but it
 * is used only after the next start. Throws a ConfigError.
 */
export function refuseUnshared({ routes }: Config, first: Config): void {
  if (first.server.redis !== null) return;
  const problems = routes.flatMap((route) =>
    SHARED_BY_WORKERS.filter(([key]) => route[key] !== undefined).map(([key, can]): Problem => {
      const message = `workers ${can} only through the redis that was configured at the start; restart to use another`;
      return { file: route.file, at: undefined, key, message };
    }),
  );
  if (problems.length > 0) throw new ConfigError(problems);
}
