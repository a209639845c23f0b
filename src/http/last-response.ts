import type { Socket } from "node:net";
import { RawResponse } from "./raw-response.ts";

/**
 * How long, in ms, a client may still send after the response was written.
 *
 * Closing a socket with unread bytes sends a reset, and on a reset the client's kernel discards the response.
 */
const LINGER_MS = 1_000;

/**
 * Returns a response on a socket that Node has detached from its parser, after an upgrade request, a CONNECT or a parse
 * error: the last response of its connection. The caller writes it, then calls `closeSoon`.
 */
export function lastResponseOn(socket: Socket): RawResponse {
  const response = new RawResponse({
    socket,
    headContext: () => ({ mayKeepAlive: false, keepAliveMs: 0 }),
    answered: () => {},
  });
  // A client may reset the connection at any time; `close` follows.
  socket.on("error", () => socket.destroy());
  socket.on("drain", () => response.drained());
  socket.once("close", () => response.closed());
  return response;
}

/** Ends a socket after its last response, and reads and discards what the client still sends, for `LINGER_MS`. */
export function closeSoon(socket: Socket): void {
  socket.end();
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(linger));
}
