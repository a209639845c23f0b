import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";

/**
 * Ends a connection with a TCP reset, that of a TLS connection under it: readers of a body that ends with its
 * connection take any other end for a whole body, TLS clients included. A unix socket has no reset and is closed.
 */
export function resetConnection(socket: Socket): void {
  const raw = socket instanceof TLSSocket ? underlyingSocket(socket) : socket;
  try {
    raw?.resetAndDestroy();
  } catch {
    // ERR_INVALID_HANDLE_TYPE: no TCP. Uncaught in a later tick, this ended the process.
  }
  socket.destroy();
}
