import type { Duplex } from "node:stream";
import { refusalOf } from "../base/errors.ts";
import { sendOnSocket } from "../exchange/bare-reply.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { errorReply } from "../exchange/reply.ts";

/**
 * Refuses on a socket for which node:http has no response object, settles the exchange, and closes the connection.
 * Aborts the connection if a response has begun already, as on a tunnel.
 */
export function refuseOn(socket: Duplex, exchange: Exchange, error: unknown): void {
  const refusal = refusalOf(error);
  exchange.account.replaceError(refusal);
  if (exchange.account.status !== 0) {
    socket.destroy();
    exchange.settle("backend_failed");
    return;
  }
  const isAnswered = socket.writable;
  sendOnSocket(socket, errorReply(exchange, refusal));
  exchange.account.headSent(refusal.status);
  exchange.settle(!isAnswered ? "client_gone" : refusal.status >= 500 ? "backend_failed" : "completed");
}
