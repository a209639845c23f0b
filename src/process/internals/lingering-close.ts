import type { IncomingMessage } from "node:http";

/** How long, in ms, the rest of a body is read and dropped behind the last response; that of nginx's `lingering_time`. */
const LINGER_MS = 30_000;

/**
 * Lets a server close a connection behind its last response only when the request has come completely, its client has
 * ended its half, or after `lingerMs` (RFC 9112 section 9.6). Until then the rest of the body, which has a reader, is
 * dropped. Does nothing if the connection stays open for another request.
 *
 * Node closes the connection right behind the response. The kernel then answers the next bytes of the body with a reset,
 * and a client that is still writing does not read the response: nginx made a 502 of every third 413.
 *
 * - Assumed of Node 20, 22 and 24: a server closes a connection behind its last response by `destroySoon` of the socket,
 *   which an own property replaces, and parses what comes until then.
 * - Without it: a client that asks for `Connection: close`, as nginx does, gets no early response to an upload.
 * - Can go when Node's server lingers.
 */
export function lingerAtClose(request: IncomingMessage, lingerMs = LINGER_MS): void {
  const { socket } = request;
  if (request.complete || Object.hasOwn(socket, "destroySoon")) return;
  socket.destroySoon = () => {
    Reflect.deleteProperty(socket, "destroySoon");
    if (request.complete) {
      socket.destroySoon();
      return;
    }
    socket.end();
    const close = () => void socket.destroy();
    const timer = setTimeout(close, lingerMs);
    request.once("close", close);
    socket.once("close", () => clearTimeout(timer));
  };
}
