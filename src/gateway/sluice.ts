/** The exports of the package, for a gateway inside another program. */
export { type InlineConfig, parseConfig, readConfig } from "../config/inline.ts";
export { ConfigError, type Problem } from "../config/problem.ts";
export type { Config } from "../config/server-schema.ts";
export type { Middleware } from "../listen/attached-requests.ts";
export type { AttachableServer } from "../listen/attached-server.ts";
export { createGateway, type Gateway } from "./gateway.ts";
