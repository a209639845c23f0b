import type { RedisTls } from "../config/redis-tls-schema.ts";

/** Returns the options of node:tls for `redis.tls`. */
export const tlsOptions = ({ ca, cert, key, serverName }: RedisTls) => ({
  ca,
  cert,
  key,
  ...(serverName !== undefined && { servername: serverName }),
});
