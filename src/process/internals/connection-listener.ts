import type { EventEmitter } from "node:events";
import http, { type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Takes from an HTTP server its own listener for connections, which gives a socket to Node's HTTP/1 parser, and returns
 * it. The server goes on accepting; the caller gives the returned function each socket that the parser is to read, also
 * one that the parser gave away in an `upgrade` event.
 *
 * - Assumed of Node 20, 22 and 24: a new server has one `connection` listener, which needs nothing but the socket, at
 *   any time after it was accepted. The sockets that it gets are those of `requestTimeout` and of
 *   `closeIdleConnections`.
 * - Without it: `connection` would have to be emitted on a second server that does not listen, and on such a server
 *   Node enforces no `headersTimeout`, no `requestTimeout` and closes no idle connections.
 * - Can go when Node tracks the connections of a server that does not listen.
 *
 * Throws a TypeError if the server has no such listener.
 */
export function takeConnectionListener(server: Server): (socket: Duplex) => void {
  const [own] = server.listeners("connection");
  if (own === undefined) throw new TypeError("an HTTP server has no listener for connections");
  server.removeAllListeners("connection");
  return (socket) => Reflect.apply(own, server, [socket]);
}

/**
 * Returns Node's own listener for connections, for a server of the program around sluice: gives the server a socket to
 * parse again that it gave away in an `upgrade` event. A `connection` event instead would reach the program's own
 * listeners for the second time.
 *
 * - Assumed of Node 20, 22 and 24: each HTTP server has the same listener, called with the server as `this`: also one of
 *   node:https, and one of node:http2 with `allowHTTP1`.
 * - Without it: a server without listeners for `upgrade` could no longer ignore an upgrade once sluice is attached.
 * - Can go when `upgrade` events can be declined.
 */
export function connectionListenerOf(server: EventEmitter): (socket: Duplex) => void {
  const [own] = http.createServer().listeners("connection");
  if (own === undefined) throw new TypeError("an HTTP server has no listener for connections");
  return (socket) => Reflect.apply(own, server, [socket]);
}

/** A request that waits until the responses to the requests before it have ended. */
interface Waiting {
  begin(): void;
  /** Called instead of `begin` if the connection ends before. */
  skip(): void;
}

/**
 * Begins a request once no response other than its own is under way on its socket: the responses to the requests before
 * it have ended. Without a response of its own, it is one that Node gave away in an `upgrade` event.
 *
 * - Assumed of Node 20, 22 and 24: `_httpMessage` of the socket is the response that writes to it, and the next one as
 *   soon as that one has ended. Only that response learns of the end of the connection. Node gives a socket away without
 *   listeners: without one for `error`, a reset would end the process; without one for `drain`, a response under way
 *   would never go on.
 * - Without it: a response to an upgrade leaves before the responses to earlier requests; the parser that gets the socket
 *   again waits for ever with its first response, because the responses of the parser before it end without it; a
 *   request whose response waits for another one is never settled once its client has left.
 * - Can go when `upgrade` events can be declined, and Node closes the responses that wait.
 */
export function afterResponses(
  socket: Socket & { _httpMessage?: ServerResponse | null },
  { begin, skip }: Waiting,
  own?: ServerResponse,
): void {
  const other = () => (socket._httpMessage === own ? undefined : socket._httpMessage);
  if (!other()) {
    begin();
    return;
  }
  const destroy = () => void socket.destroy();
  const drained = () => other()?.emit("drain");
  const look = () => {
    const current = other();
    if (current && !socket.destroyed) {
      current.once("close", () => setImmediate(look));
      return;
    }
    socket.removeListener("error", destroy);
    socket.removeListener("drain", drained);
    if (socket.destroyed) skip();
    else begin();
  };
  socket.on("error", destroy);
  if (own === undefined) socket.on("drain", drained);
  look();
}
