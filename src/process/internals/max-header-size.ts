import type { Server } from "node:http";

/**
 * Sets the maximum number of bytes of a request's head that an HTTP server accepts, for its connections from now on.
 *
 * - Assumed of Node 20, 22 and 24: the server reads its field `maxHeaderSize` for each new connection. Only the option
 *   of `createServer` is documented.
 * - Without it: a reload could not change `limits.headerBytes`.
 * - Can go when Node documents the field, as it does `maxHeadersCount`.
 */
export function setMaxHeaderSize(server: Server, bytes: number): void {
  Object.assign(server, { maxHeaderSize: bytes });
}
