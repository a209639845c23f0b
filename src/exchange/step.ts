import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";

/**
 * One step of a route's pipeline: a reply ends the exchange, nothing passes it on, a ProxyError refuses it.
 */
export type Step = (exchange: Exchange) => Reply | undefined | Promise<Reply | undefined>;
