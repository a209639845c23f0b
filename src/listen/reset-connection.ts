import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";

/**
 * Ends a connection with a TCP reset, that of a TLS connection under it: readers of a body that ends with its
 * connection take any other end for a whole body, TLS clients included. A unix socket has no reset and is closed, and
 * so is a connection whose own half is ended, as its client has seen that end or is about to.
 */
export function resetConnection(socket: Socket): void {
  if (socket.destroyed) return;
  const raw = socket instanceof TLSSocket ? underlyingSocket(socket) : socket;
  // libuv resets no connection that it shuts down (EINVAL), and Node then forgets the open file: neither it nor the
  // exchange on it ever ended.
  const mayReset = !socket.writableEnded && raw?.writableEnded === false;
  if (mayReset) resetInPlaceOfDestroy(raw);
  socket.destroy();
}

/**
 * Has the next `destroy` reset the connection. A TLS socket destroys the one under it, and has to be the one to do so:
 * where that is gone already, Node frees the TLS state at once, which in a callback of the handshake is the end of the
 * process (SIGSEGV on Node 20, 22 and 24).
 */
function resetInPlaceOfDestroy(raw: Socket): void {
  raw.destroy = (error) => {
    Reflect.deleteProperty(raw, "destroy");
    try {
      return raw.resetAndDestroy();
    } catch {
      // ERR_INVALID_HANDLE_TYPE: no TCP. Uncaught in a later tick, this ended the process.
      return raw.destroy(error);
    }
  };
}
