import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/**
 * Returns the TCP or unix socket under a TLS socket that a server made of a connection given to it by its `connection`
 * event.
 *
 * - Assumed of Node 20, 22 and 24: such a TLS socket has that socket in its field `_parent`.
 * - Without it: a TLS client's address is unknown (access lists, rates), so its connection is closed after the
 *   handshake, and a body that ends with its connection cannot be aborted by a reset (see `resetConnection`).
 * - Can go when Node gives `secureConnection` listeners the connection, or TLSSocket gets a public property for it.
 */
export function underlyingSocket(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent;
}
