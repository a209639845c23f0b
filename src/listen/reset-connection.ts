import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";

/**
 * Ends a connection with a TCP reset, also under TLS. If a body ends with its connection, a reset is the only end that
 * does not look like a complete body, to TLS clients too. A unix socket has no reset and is closed. A connection whose
 * own half is already ended is closed too, because its client sees that end anyway.
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
 * Makes the next `destroy` reset the connection. The TLS socket itself must destroy the socket under it. If that socket
 * is destroyed first, Node frees the TLS state at once; in a callback of the handshake this ends the process (SIGSEGV
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
