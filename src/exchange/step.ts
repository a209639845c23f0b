import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";

/**
 * One step of a route's pipeline: it returns a reply to end the exchange, or undefined to go on to the next step; it
 * throws a ProxyError to refuse the request.
 */
export type Step = (exchange: Exchange) => Reply | undefined | Promise<Reply | undefined>;
