import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";

/**
 * Ends a connection with a TCP reset, also under TLS: for a body that ends with its connection, clients take any other
 * end for a complete body, TLS clients too. A unix socket has no reset and is closed; so is a connection whose own half
 * is ended, because its client has seen that end or is about to.
 */
export function resetConnection(socket: Socket): void {
  if (socket.destroyed) return;
  const raw = socket instanceof TLSSocket ? underlyingSocket(socket) : socket;
  // libuv does not reset a connection that it shuts down (EINVAL), and Node then loses the open file: neither the file
  // nor its exchange ever ended.
  const mayReset = !socket.writableEnded && raw?.writableEnded === false;
  if (mayReset) resetInPlaceOfDestroy(raw);
  socket.destroy();
}

/**
 * Makes the next `destroy` reset the connection. A TLS socket must destroy the socket under it by itself: if that socket
 * is destroyed before, Node frees the TLS state at once, which in a callback of the handshake ends the process (SIGSEGV
 * on Node 20, 22 and 24).
 */
function resetInPlaceOfDestroy(raw: Socket): void {
  raw.destroy = (error) => {
    Reflect.deleteProperty(raw, "destroy");
    try {
      return raw.resetAndDestroy();
    } catch {
      // ERR_INVALID_HANDLE_TYPE: not TCP. Uncaught in a later tick, this error ended the process.
      return raw.destroy(error);
    }
  };
}
