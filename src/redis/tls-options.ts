import type { RedisTls } from "../config/redis-tls-schema.ts";

/** Returns the options of node:tls for `redis.tls`. */
export const tlsOptions = ({ serverName, ...files }: RedisTls) => ({
  ...files,
  ...(serverName !== undefined && { servername: serverName }),
});
